//! What is fixed when the process starts: `gateway.toml`, read like every rule file, with the same words for what is wrong.
//!
//! It is not law: a change needs a restart. No secret stands in it. Every bound says who loses when it is reached.

pub mod control;
pub mod memory;
pub mod outcomes;
pub mod snapshots;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use self::control::{ControlDoor, ControlFile};
use self::memory::{MemoryBounds, MemoryFile};
use self::outcomes::{OutcomesFile, OutcomesKept};
use self::snapshots::{SnapshotsFile, SnapshotsKept};
use crate::rules::diagnostic::{Code, Diagnostic, codes};
use crate::rules::source::{Source, Sources, Span};
use crate::rules::syntax;
use crate::rules::syntax::files::Text;
use crate::rules::syntax::forms::{Later, Many, Whole};
use crate::rules::syntax::table::{Field, Said, Written, Wrong, table, words};

/// The settings of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens; never empty.
    pub listeners: Vec<Listener>,
    /// Worker threads; as many as there are cores when 0.
    pub workers: usize,
    /// Where it keeps what must survive a restart.
    pub data: PathBuf,
    /// Where operators reach it; nowhere when absent.
    pub admin: Option<SocketAddr>,
    /// Where operators come in over TCP; nowhere when absent.
    pub control: Option<ControlDoor>,
    /// Bounds in number and size.
    pub bounds: ListenBounds,
    /// Bounds in time.
    pub times: Times,
    /// Where decisions are written.
    pub decisions: Decisions,
    /// How many subjects are remembered.
    pub memory: MemoryBounds,
    /// How outcomes are kept; not at all when absent.
    pub outcomes: Option<OutcomesKept>,
    /// How much is kept of customers' own answers.
    pub snapshots: SnapshotsKept,
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// With which certificates; in clear text when absent.
    pub tls: Option<Tls>,
    /// Proxies that begin a connection by saying for whom it comes.
    pub proxy_protocol: Vec<IpNet>,
}

/// Certificates of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM files: chain and key. Never empty.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// A missing pair is made on the spot, signed by itself.
    pub self_signed: bool,
    /// Authorities that vouch for clients, and whether a client must have a certificate; clients are not asked when absent.
    pub clients: Option<(PathBuf, bool)>,
}

/// Bounds in number and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenBounds {
    /// Connections at once. The newest loses.
    pub connections: usize,
    /// Connections of one address at once. Its newest loses.
    pub connections_per_address: usize,
    /// Headers of a request. The request loses, with 431.
    pub headers: usize,
    /// Bytes of a request's head. The request loses, with 431.
    pub head_bytes: usize,
    /// Bytes up to which a body is read whole before it is judged; larger ones stream.
    pub whole_body: usize,
    /// Streams at once on an HTTP/2 connection. The newest is refused.
    pub h2_streams: u32,
    /// Streams that a client may reset in a row. Its connection loses.
    pub h2_resets: usize,
    /// Bytes of a body; no bound when 0. The request loses, with 413.
    pub body_bytes: u64,
    /// Tunnels, event streams and calls open at once. The newest loses, with a 503.
    pub streams: usize,
}

/// Bounds in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For the TLS handshake. The connection loses.
    pub handshake: Duration,
    /// For a request's head. The connection loses, with 408.
    pub head: Duration,
    /// Between two requests of a connection. The connection is closed.
    pub idle: Duration,
    /// Between two pieces of a request's body. The request loses, with 408.
    pub body_idle: Duration,
    /// The least mean rate of a body after the grace. The request loses, with 408.
    pub body_rate_bytes_per_second: u64,
    /// How long a body may be slower than that.
    pub body_grace: Duration,
    /// Age at which a connection is asked to end; no bound when zero.
    pub connection_age: Duration,
    /// Age at which a tunnel, event stream or call is ended; no bound when zero.
    pub stream_age: Duration,
    /// How long requests in flight are waited for when the process ends.
    pub drain: Duration,
}

/// Where decisions are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    /// Where.
    pub to: DecisionsTo,
    /// One in so many plainly allowed requests; all others are always written.
    pub allowed_one_in: u32,
}

/// A place for decision lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionsTo {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// The end of a file.
    File(PathBuf),
}

/// What came of reading the settings.
#[derive(Debug)]
pub struct Read {
    /// The settings; there are some if and only if no diagnostic is an error.
    pub settings: Option<Settings>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

impl Settings {
    /// Reads `gateway.toml` among these sources; without one everything has its default.
    pub fn read(sources: &Sources) -> Read {
        let unwritten = Source { name: "gateway.toml".into(), text: "".into() };
        let found = sources.iter().find(|(_, source)| source.is_settings());
        let (number, source) = found.unwrap_or((u16::MAX, &unwritten));
        let read = syntax::read::<SettingsFile>(number, source);
        let mut lift = Lift { sources, problems: read.problems };
        let settings = lift.settings(&read.file);
        let broken = lift.problems.iter().any(Diagnostic::is_error);
        Read { settings: settings.filter(|_| !broken), diagnostics: lift.problems }
    }

    /// Every setting, as Markdown.
    pub fn reference() -> String {
        format!("# Settings\n\n{}", syntax::reference_of::<SettingsFile>())
    }

    /// The JSON schema (draft 7) of `gateway.toml`.
    pub fn schema() -> serde_json::Value {
        syntax::schema_of::<SettingsFile>("Weir settings")
    }
}

table! {
    /// gateway.toml: what is fixed when the process starts. A change needs a restart.
    SettingsFile("gateway.toml") {
        /// Where it listens. One TLS listener on 127.0.0.1:8443 when there is none.
        listen: Vec<ListenFile> = default("[{ address = \"127.0.0.1:8443\", tls = { certificate = \"../certs/weir.pem\", key = \"../certs/weir.key\", when_missing = \"self_signed\" } }]");
        /// Worker threads; as many as there are cores when 0.
        workers: Whole<0, 1_024> = default("0");
        /// A directory for what must survive a restart, relative to the rules.
        data: Text = default("\"../data\"");
        /// Where operators reach it: an address of this machine, or "off".
        admin: Said<AdminText> = default("\"127.0.0.1:9443\"");
        /// Whether `admin` may be an address that others can reach.
        admin_public: Said<bool> = default("false");
        /// A door for operators over TCP.
        control: ControlFile = default("{}");
        /// Bounds in number and size.
        bounds: BoundsFile = default("{}");
        /// Bounds in time.
        times: TimesFile = default("{}");
        /// Where decisions are written.
        decisions: DecisionsFile = default("{}");
        /// How many subjects are remembered.
        memory: MemoryFile = default("{}");
        /// Decisions and how they turned out, kept for calibration.
        outcomes: OutcomesFile = default("{}");
        /// Customers' own last-known-good answers.
        snapshots: SnapshotsFile = default("{}");
        /// State shared with other processes.
        shared: Later = not_yet;
    }
}

table! {
    /// One listening socket.
    ListenFile("listen") {
        /// An address and port.
        address: Said<SocketAddr> = required;
        /// Its certificates; in clear text when absent.
        tls: Many<TlsFile> = optional;
        /// Networks of proxies that begin each connection with a header of the PROXY protocol, version 1 or 2. From there it must come; from elsewhere none is believed.
        proxy_protocol: Vec<Said<IpNet>> = optional;
    }
}

table! {
    /// A certificate, as PEM files beside the rules.
    TlsFile("tls") {
        /// The chain.
        certificate: Text = required;
        /// The key; readable to this process alone.
        key: Text = required;
        /// What is done when the files are not there.
        when_missing: Said<MissingWord> = default("\"fail\"");
        /// Authorities that vouch for clients, as a PEM file beside the rules; clients are not asked for certificates when absent.
        client_ca: Text = optional;
        /// What a client without a certificate gets.
        client_certificates: Said<ClientsWord> = default("\"asked\"");
    }
}

words! {
    /// What is done when a certificate is not there.
    MissingWord {
        /// The process does not start.
        "fail" => Fail,
        /// A certificate signed by itself is made and written there.
        "self_signed" => SelfSigned,
    }
}

words! {
    /// What a client without a certificate gets.
    ClientsWord {
        /// It is served as a customer; one whose certificate nobody vouches for is turned away.
        "asked" => Asked,
        /// It is turned away at the handshake.
        "required" => Required,
    }
}

table! {
    /// Bounds in number and size.
    BoundsFile("bounds") {
        /// Connections at once; the newest loses.
        connections: Whole<1, 10_000_000> = default("20000");
        /// Connections of one address at once; its newest loses.
        connections_per_address: Whole<1, 10_000_000> = default("1000");
        /// Headers of a request; the request loses, with 431.
        headers: Whole<8, 1_000> = default("100");
        /// Bytes of a request's head; the request loses, with 431.
        head_bytes: Whole<8_192, 1_048_576> = default("65536");
        /// Bytes up to which a body is read whole before it is judged; larger ones stream.
        whole_body: Whole<0, 1_048_576> = default("65536");
        /// Streams at once on an HTTP/2 connection; the newest is refused.
        h2_streams: Whole<1, 10_000> = default("128");
        /// Streams that a client may reset in a row; its connection loses.
        h2_resets: Whole<1, 10_000> = default("100");
        /// Bytes of a body, no bound when 0; the request loses, with 413.
        body_bytes: Whole<0, { u64::MAX }> = default("0");
        /// Tunnels, event streams and gRPC calls open at once; the newest loses, with a 503.
        streams: Whole<1, 10_000_000> = default("10000");
    }
}

table! {
    /// Bounds in time.
    TimesFile("times") {
        /// For the TLS handshake; the connection loses.
        handshake: Said<Duration> = default("\"10s\"");
        /// For a request's head; the connection loses.
        head: Said<Duration> = default("\"15s\"");
        /// Between two requests of a connection; it is closed.
        idle: Said<Duration> = default("\"60s\"");
        /// Between two pieces of a request's body; the request loses, with 408.
        body_idle: Said<Duration> = default("\"30s\"");
        /// The least mean rate of a body after the grace; the request loses, with 408.
        body_rate_bytes_per_second: Whole<0, 1_000_000_000> = default("256");
        /// How long a body may be slower than that.
        body_grace: Said<Duration> = default("\"30s\"");
        /// The age at which a connection is asked to end; none when 0s.
        connection_age: Said<Duration> = default("\"0s\"");
        /// The age at which a tunnel, event stream or gRPC call is ended; none when 0s.
        stream_age: Said<Duration> = default("\"24h\"");
        /// How long requests in flight are waited for when the process ends; then they lose.
        drain: Said<Duration> = default("\"30s\"");
    }
}

table! {
    /// Where decisions are written.
    DecisionsFile("decisions") {
        /// "stdout", "off", or a file relative to the rules. Lines that a full disk or pipe cannot take are lost and counted.
        to: Text = default("\"stdout\"");
        /// One in so many plainly allowed requests is written; all others always are.
        allowed_one_in: Whole<1, 1_000_000> = default("1");
    }
}

/// Where operators reach it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdminText(pub(crate) Option<SocketAddr>);

impl Written for AdminText {
    const WHAT: &'static str = "an address and port, or \"off\"";
    const EXAMPLE: &'static str = "127.0.0.1:9443";
    const CODE: &'static Code = &codes::BAD_LISTENER;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "off" { Ok(Self(None)) } else { SocketAddr::parse(text).map(|address| Self(Some(address))) }
    }
}

/// Lifts what was written to what the process needs.
struct Lift<'s> {
    sources: &'s Sources,
    problems: Vec<Diagnostic>,
}

impl Lift<'_> {
    fn settings(&mut self, file: &SettingsFile) -> Option<Settings> {
        let admin = self.admin(file);
        let listeners = self.listeners(file, admin.flatten());
        let control = file.control.given().and_then(|control| self.control(control));
        let bounds = file.bounds.given().and_then(bounds);
        let times = file.times.given().and_then(|times| self.times(times));
        let decisions = file.decisions.given().and_then(|decisions| {
            let to = match &*decisions.to.given()?.value {
                "stdout" => DecisionsTo::Stdout,
                "off" => DecisionsTo::Off,
                path => DecisionsTo::File(self.sources.resolve(path)),
            };
            Some(Decisions { to, allowed_one_in: number(&decisions.allowed_one_in)? })
        });
        let memory = file.memory.given().and_then(|memory| self.memory(memory));
        let outcomes = file.outcomes.given().and_then(|outcomes| self.outcomes(outcomes));
        let snapshots = file.snapshots.given().and_then(|snapshots| self.snapshots(snapshots));
        Some(Settings {
            listeners: listeners?,
            workers: number(&file.workers)?,
            data: self.sources.resolve(file.data.given()?),
            admin: admin?,
            control: control?,
            bounds: bounds?,
            times: times?,
            decisions: decisions?,
            memory: memory?,
            outcomes: outcomes?,
            snapshots: snapshots?,
        })
    }

    fn listeners(&mut self, file: &SettingsFile, admin: Option<SocketAddr>) -> Option<Vec<Listener>> {
        let files = file.listen.given()?;
        if files.is_empty() {
            let problem = Diagnostic::of(&codes::EMPTY, "there is no listener");
            self.problems.push(problem.help("add [[listen]] with an address, or leave `listen` out for the default"));
        }
        let mut listeners: Vec<Listener> = Vec::new();
        let mut whole = true;
        for file in files {
            let Some(address) = file.address.given() else {
                whole = false;
                continue;
            };
            let taken = listeners.iter().any(|known| known.address == address.value) || admin == Some(address.value);
            if taken && address.port() != 0 {
                let problem = Diagnostic::of(&codes::TWICE, format!("{} is listened on twice", address.value));
                self.problems.push(
                    problem
                        .at(address.span, "the second")
                        .help("give each listener, and `admin`, an address of its own"),
                );
            }
            let tls = match &file.tls {
                Field::Absent => None,
                Field::Broken => {
                    whole = false;
                    continue;
                }
                Field::Given(many) => match self.tls(many) {
                    Some(tls) => Some(tls),
                    None => {
                        whole = false;
                        continue;
                    }
                },
            };
            whole &= !matches!(file.proxy_protocol, Field::Broken);
            let proxy_protocol = file.proxy_protocol.items().iter().map(|net| net.value).collect();
            listeners.push(Listener { address: address.value, tls, proxy_protocol });
        }
        whole.then_some(listeners)
    }

    fn tls(&self, many: &Many<TlsFile>) -> Option<Tls> {
        let pair = |file: &TlsFile| {
            Some((self.sources.resolve(file.certificate.given()?), self.sources.resolve(file.key.given()?)))
        };
        let certificates: Vec<_> = many.all.iter().map(pair).collect::<Option<_>>()?;
        let self_signed = many
            .all
            .iter()
            .any(|file| file.when_missing.given().is_some_and(|word| word.value == MissingWord::SelfSigned));
        if certificates.is_empty() {
            None
        } else {
            let clients = many.all.iter().find_map(|file| {
                let authority = self.sources.resolve(file.client_ca.given()?);
                Some((authority, file.client_certificates.given()?.value == ClientsWord::Required))
            });
            Some(Tls { certificates, self_signed, clients })
        }
    }

    fn admin(&mut self, file: &SettingsFile) -> Option<Option<SocketAddr>> {
        let said = file.admin.given()?;
        let public = file.admin_public.given()?.value;
        if let Some(address) = said.value.0
            && !address.ip().is_loopback()
            && !public
        {
            let problem =
                Diagnostic::of(&codes::NEEDS_CARE, format!("others could reach the operators' port {address}"));
            self.problems.push(
                problem.at(said.span, "not an address of this machine alone").help(
                    "use 127.0.0.1, or set admin_public = true when something in front of it keeps strangers out",
                ),
            );
        }
        Some(said.value.0)
    }

    fn times(&mut self, file: &TimesFile) -> Option<Times> {
        let handshake = self.some_time(&file.handshake);
        let head = self.some_time(&file.head);
        let idle = self.some_time(&file.idle);
        let body_idle = self.some_time(&file.body_idle);
        Some(Times {
            handshake: handshake?,
            head: head?,
            idle: idle?,
            body_idle: body_idle?,
            body_rate_bytes_per_second: number(&file.body_rate_bytes_per_second)?,
            body_grace: file.body_grace.given()?.value,
            connection_age: file.connection_age.given()?.value,
            stream_age: file.stream_age.given()?.value,
            drain: file.drain.given()?.value,
        })
    }

    /// A bound in time that must not be switched off.
    fn some_time(&mut self, field: &Field<Said<Duration>>) -> Option<Duration> {
        let said = field.given()?;
        if said.value.is_zero() {
            let place: Span = said.span;
            let problem =
                Diagnostic::of(&codes::OUT_OF_RANGE, "this time cannot be switched off").at(place, "no time at all");
            self.problems.push(problem.help("write for example \"15s\""));
        }
        Some(said.value)
    }
}

/// The number of a field, as the type that holds it.
fn number<T: TryFrom<u64>, const FROM: u64, const TO: u64>(field: &Field<Whole<FROM, TO>>) -> Option<T> {
    field.given().and_then(|number| T::try_from(number.value).ok())
}

fn bounds(file: &BoundsFile) -> Option<ListenBounds> {
    Some(ListenBounds {
        connections: number(&file.connections)?,
        connections_per_address: number(&file.connections_per_address)?,
        headers: number(&file.headers)?,
        head_bytes: number(&file.head_bytes)?,
        whole_body: number(&file.whole_body)?,
        h2_streams: number(&file.h2_streams)?,
        h2_resets: number(&file.h2_resets)?,
        body_bytes: number(&file.body_bytes)?,
        streams: number(&file.streams)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Read {
        Settings::read(&Sources::from_texts(vec![("gateway.toml".to_owned(), text.to_owned())]))
    }

    #[test]
    fn without_a_file_everything_has_its_default() {
        let Read { settings, diagnostics } = Settings::read(&Sources::from_texts(Vec::new()));
        let settings = settings.unwrap();
        assert!(diagnostics.is_empty());
        assert_eq!(settings, read("").settings.unwrap());
        assert_eq!(settings.listeners.len(), 1);
        assert!(settings.listeners[0].tls.as_ref().unwrap().self_signed);
        assert_eq!(settings.admin.unwrap().to_string(), "127.0.0.1:9443");
        assert_eq!((settings.bounds.h2_streams, settings.times.head), (128, Duration::from_secs(15)));
        assert_eq!(settings.memory.accounts, 100_000);
    }

    #[test]
    fn every_setting_can_be_written() {
        let text = "workers = 2\ndata = \"/var/lib/weir\"\nadmin = \"off\"\n[[listen]]\naddress = \"0.0.0.0:80\"\n[[listen]]\naddress = \"[::]:443\"\n\
            tls = [{ certificate = \"a.pem\", key = \"a.key\" }, { certificate = \"/b.pem\", key = \"/b.key\" }]\n[bounds]\nbody_bytes = 1\n\
            [times]\nbody_grace = \"0s\"\n[decisions]\nto = \"decisions.jsonl\"\nallowed_one_in = 100\n[memory]\naccounts = 64\n";
        let settings = read(text).settings.unwrap();
        assert_eq!(settings.listeners.len(), 2);
        assert_eq!(settings.listeners[1].tls.as_ref().unwrap().certificates.len(), 2);
        assert_eq!(settings.decisions.to, DecisionsTo::File("decisions.jsonl".into()));
        assert_eq!((settings.admin, settings.workers, settings.memory.accounts), (None, 2, 64));
    }

    #[test]
    fn the_operators_port_is_not_opened_to_all_by_accident() {
        assert_eq!(read("admin = \"0.0.0.0:9443\"").diagnostics[0].code, "W0080");
        assert!(read("admin = \"0.0.0.0:9443\"\nadmin_public = true").settings.is_some());
        assert_eq!(read("[[listen]]\naddress = \"127.0.0.1:9443\"").diagnostics[0].code, "W0016");
        assert_eq!(read("[times]\nhead = \"0s\"").diagnostics[0].code, "W0014");
    }
}
