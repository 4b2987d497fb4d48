//! The real program, as a person at a terminal has it: started, read line by line, signalled, waited for. Each has a
//! temporary directory of its own, so that it neither finds nor is found by other Weirs of this machine.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

use super::GROUND;
use super::upstream::Upstream;

/// A terminal: a place, and the program in it.
pub struct Terminal {
    pub dir: tempfile::TempDir,
}

impl Terminal {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A copy of the shipped rules, on a free port and in front of this application.
    pub fn rules(&self, upstream: &str) {
        for (name, text) in weir::demo::rules::SHIPPED {
            let text = text.replace("http://127.0.0.1:3000", upstream).replace("127.0.0.1:8443", "127.0.0.1:0");
            self.write(&format!("rules/{name}"), &text);
        }
        self.write("rules/gateway.toml", GATEWAY);
    }

    /// The ground rules with these files, in front of this upstream.
    pub fn ground(&self, upstream: &Upstream, files: &[(&str, &str)], gateway: &str) {
        let upstream = format!("http://{}\"", upstream.address);
        for (name, text) in GROUND.iter().chain(files) {
            let text = text.replace("http://127.0.0.1:1\"", &upstream);
            self.write(&format!("rules/{name}"), &text);
        }
        self.write("rules/gateway.toml", gateway);
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(self.dir.path()).env("TMPDIR", self.path("tmp")).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        Said::from(self.command(arguments).output().unwrap())
    }

    /// Starts it and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Self::begin(self.command(arguments))
    }

    /// The same, where a file that would grow beyond a limit is an error of that write, as on a full disk, and not the program's end.
    pub fn start_limited(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_weir")]).args(arguments);
        command.current_dir(self.dir.path()).env("TMPDIR", self.path("tmp")).stdin(Stdio::null());
        Self::begin(command)
    }

    fn begin(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        Running { child, out, err, heard: String::new() }
    }

    /// `weir run`, once it listens, and where.
    pub fn start_run(&self) -> (Running, String) {
        let mut weir = self.start(&["run"]);
        let line = weir.hear("listening");
        let address = line.rsplit_once("address=").unwrap().1.trim().to_owned();
        weir.hear("in force");
        (weir, format!("http://{address}"))
    }

    /// What a shell makes of this line.
    pub fn shell(&self, line: &str) -> Said {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.dir.path()).env("TMPDIR", self.path("tmp")).stdin(Stdio::null());
        Said::from(command.output().unwrap())
    }

    /// Status and body of an address.
    pub fn get(&self, url: &str) -> (u16, String) {
        let said = self.shell(&format!("curl -ks -m 20 -w '\\n%{{http_code}}' '{url}'"));
        let (body, status) = said.out.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

/// A free port, clear text, and little patience with those who stay.
pub const GATEWAY: &str = "admin = \"127.0.0.1:0\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n[times]\ndrain = \"1s\"\n";

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A program that runs.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
    heard: String,
}

impl Running {
    /// The next line of standard output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        if self.out.read_line(&mut line).unwrap() == 0 {
            let mut err = String::new();
            let _ = self.err.read_to_string(&mut err);
            panic!("it ended: {err}");
        }
        line.trim_end().to_owned()
    }

    /// Reads its log up to a line with these words, and gives that line.
    pub fn hear(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.err.read_line(&mut line).unwrap() > 0, "it ended without {words:?}:\n{}", self.heard);
            self.heard.push_str(&line);
            if line.contains(words) {
                return line;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let told = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// From now on none of its files grows beyond so many bytes.
    pub fn limit(&self, bytes: u64) {
        let (pid, fsize) = (self.child.id().to_string(), format!("--fsize={bytes}"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &fsize]).status().unwrap().success());
    }

    /// Waits for its end; gives everything that it said and had not been read.
    pub fn end(mut self) -> Said {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        let status = self.child.wait().unwrap();
        Said { code: status.code(), out, err }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The repository's own directory.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
