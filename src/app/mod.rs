//! Builds the parts, joins them, runs them and drains them: the only room that knows every other.
//!
//! Each worker is a thread with a runtime, sockets and upstream connections of its own. Control, watching, health and keys run
//! on a thread beside them, so that they work when the data plane is in trouble. Every thread is joined.

mod beside;
mod door;
mod keep;
mod worker;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use self::beside::Beside;
use self::door::Door;
use self::keep::{Keeping, snapshots};
use self::worker::Worker;
use crate::clock::Clock;
use crate::control::disk::{Disk, DiskThread};
use crate::control::law::{Adjust, Law, NoLaw, Opening, Reload};
use crate::control::load::{Loaded, load};
use crate::control::sockets::{self, Listed};
use crate::control::who::Who;
use crate::gate::Shared;
use crate::gate::streams::Room;
use crate::identity::breach::Breach;
use crate::identity::{Identity, naming};
use crate::listen::tls::{Authority, Certificates, Pair, TlsFault, WhenMissing};
use crate::listen::{self, BindFault, Doors, Entrance, Proxies};
use crate::lists::{self, Lists};
use crate::memory::keeper::Keeper;
use crate::memory::retention::Retention;
use crate::memory::{Memory, Places};
use crate::outcomes::{self, Kept};
use crate::rules::ruleset::{RuleSet, Server};
use crate::settings::{DecisionsTo, Listener, Settings, Tls};
use crate::snapshots::Snapshots;
use crate::telemetry::Telemetry;
use crate::telemetry::lines::{Destination, Office, Writer};
use crate::upstream::Reach;

/// The control socket's name in the data directory.
pub const SOCKET: &str = "weir.sock";

/// Linux's number of the signal for a file that grows beyond what its process may write.
const SIGXFSZ: i32 = 25;

/// What a process is started with, beside its rules.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The directory of rule files.
    pub rules: PathBuf,
    /// Replaces the listeners of `gateway.toml`.
    pub listeners: Option<Vec<Listener>>,
    /// Replaces the address of `/metrics`, `/livez` and `/readyz`.
    pub admin: Option<SocketAddr>,
    /// Replaces the data directory.
    pub data: Option<PathBuf>,
    /// Replaces the number of workers.
    pub workers: Option<usize>,
    /// Replaces the servers of every upstream.
    pub servers: Option<Vec<Server>>,
    /// Replaces where decision lines go.
    pub decisions: Option<Destination>,
    /// Where moments come from.
    pub clock: Clock,
    /// Commands of this user do not find the process without `--socket`: for tests.
    pub unlisted: bool,
}

impl Options {
    /// What the directory says, and nothing else.
    pub fn from_rules(dir: &Path) -> Self {
        Self { rules: dir.to_path_buf(), ..Self::default() }
    }
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The rules or settings have errors.
    #[error("the rules have errors")]
    Rules(Box<Loaded>),
    /// An address is taken or not ours.
    #[error("{0}")]
    Listen(#[from] BindFault),
    /// Another Weir uses the data directory.
    #[error("another Weir is running with the data directory {}; give this one its own (data = \"...\" in gateway.toml)", .0.display())]
    DataInUse(PathBuf),
    /// A certificate.
    #[error("{0}")]
    Tls(#[from] TlsFault),
    /// The rules lack what is armed.
    #[error("{} armed, and the rules do not have {}. Put it back, or stand it down: weir stand-down {} --reason \"...\" --offline {}", match playbooks.len() { 1 => format!("the playbook {} is", playbooks[0]), _ => format!("the playbooks {} are", playbooks.join(", ")) }, if playbooks.len() == 1 { "it" } else { "them" }, playbooks[0], data.display())]
    LacksArmed {
        /// What is armed.
        playbooks: Vec<String>,
        /// Where that is kept.
        data: PathBuf,
    },
    /// A token's file.
    #[error("{0}")]
    Token(String),
    /// A file or a thread.
    #[error("{what}: {cause}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    move |cause| StartError::System { what: what.into(), cause }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the time was up.
    pub cut: usize,
}

/// A running Weir.
#[derive(Debug)]
pub struct Weir {
    /// Where it listens, in the order of the listeners.
    pub addresses: Vec<SocketAddr>,
    /// Where `/metrics`, `/livez` and `/readyz` are.
    pub admin: Option<SocketAddr>,
    /// Where operators with a token come in.
    pub steering: Option<SocketAddr>,
    /// The control socket.
    pub socket: PathBuf,
    /// The law's keeper.
    pub law: Arc<Law>,
    /// The keeper of the lists of addresses.
    pub lists: Arc<Lists>,
    /// The keeper of customers' own last-known-good answers.
    pub snapshots: Snapshots,
    /// Metrics.
    pub telemetry: Telemetry,
    /// Warnings of the first reading, rendered; empty when there are none.
    pub warnings: String,
    certificates: Vec<Certificates>,
    listed: Option<Listed>,
    stop: watch::Sender<bool>,
    stop_control: watch::Sender<bool>,
    workers: Vec<JoinHandle<usize>>,
    control: Option<JoinHandle<()>>,
    writers: [Option<Writer>; 2],
    disk: Option<DiskThread>,
    keeping: Option<Keeping>,
    answers: Option<JoinHandle<()>>,
}

impl Weir {
    /// Reads the rules, binds every address and starts serving.
    ///
    /// # Errors
    /// Whatever makes that impossible; nothing is left running.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let telemetry = Telemetry::new();
        let loaded = load(&options.rules);
        let Some(mut settings) = loaded.settings.clone().filter(|_| loaded.compiled().is_some()) else {
            return Err(StartError::Rules(Box::new(loaded)));
        };
        options.apply(&mut settings);
        let socket = claim_data(&settings.data)?;
        let breach = Arc::<Breach>::default();
        let (law, disk, loaded) = open_law(&options, &telemetry, &socket, loaded, breach.clone())?;
        let warnings = loaded.render(false);
        let data = socket.parent().unwrap_or(Path::new("."));
        let (snapshots, answers) = snapshots(&settings, data, (&options.clock, &telemetry));
        let shared = shared(&settings, data, (&options.clock, &telemetry), (breach, snapshots))?;
        let keeper = Arc::new(keeper(&settings, data, &shared));
        keeper.load();
        shared.lists.settle(&law.in_force().load().rules.lists, options.clock.now());
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        };
        let reach = Reach::new();
        for fault in reach.prepare(&law.in_force().load().rules.upstreams) {
            tracing::error!(%fault, "an upstream cannot be reached over TLS");
        }
        let mut doorways = Vec::new();
        for listener in &settings.listeners {
            let certificates = certificates(listener.tls.as_ref(), &law)?;
            let proxies = Proxies::new(&listener.proxy_protocol);
            doorways.push((listen::bind(listener.address, workers)?, certificates, proxies));
        }
        let addresses = doorways.iter().filter_map(|(sockets, ..)| sockets.first()?.local_addr().ok()).collect();
        let showing_on = match settings.admin {
            Some(address) => Some(listen_alone(address)?),
            None => None,
        };
        let admin = showing_on.as_ref().and_then(|listener| listener.local_addr().ok());
        let steering_on = std::os::unix::net::UnixListener::bind(&socket)
            .map_err(doing(format!("the control socket {}", socket.display())))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
            .map_err(doing("guarding the control socket"))?;

        let door = Door::open(&settings, &law)?;
        let steering = door.as_ref().and_then(|door| door.listener.local_addr().ok());
        let lines_to = options.decisions.clone().unwrap_or_else(|| destination(&settings));
        let (office, writer) =
            Office::open(&lines_to, telemetry.lines_dropped.clone()).map_err(doing("opening the decision log"))?;
        let kept = outcomes(&settings, data, &options.clock)?;
        let (outcomes_office, outcomes_writer) = match &kept {
            None => (Office::closed(), None),
            Some(kept) => {
                let opened = Office::beside("outcomes", kept.clone(), telemetry.lines_dropped.clone());
                let (office, writer) = opened.map_err(doing("starting what keeps outcomes"))?;
                (office, Some(writer))
            }
        };
        let doors = Doors::new(settings.bounds.connections, settings.bounds.connections_per_address);
        let listed = match options.unlisted {
            true => None,
            false => sockets::list(&socket)
                .map_err(|error| tracing::warn!(%error, "commands need --socket to find this Weir"))
                .ok(),
        };
        let door_certificates = door.as_ref().and_then(|door| door.certificates.clone());
        let certificates: Vec<Certificates> =
            doorways.iter().filter_map(|(_, certificates, _)| certificates.clone()).chain(door_certificates).collect();
        let renewed = certificates.clone();
        let (stop, stopping) = watch::channel(false);
        let (stop_control, control_stopping) = watch::channel(false);

        let mut running = Self {
            addresses,
            admin,
            steering,
            socket,
            law: law.clone(),
            lists: shared.lists.clone(),
            snapshots: shared.snapshots.clone(),
            telemetry: telemetry.clone(),
            warnings,
            certificates,
            listed,
            stop,
            stop_control,
            workers: Vec::new(),
            control: None,
            writers: [writer, outcomes_writer],
            disk: Some(disk),
            keeping: Some(Keeping::start(keeper.clone(), kept.clone(), settings.memory.checkpoint)?),
            answers: answers.map(|keeper| thread("weir-snapshots".into(), move || keeper.run())).transpose()?,
        };
        for number in 0..workers {
            let mut entrances = Vec::new();
            for (sockets, tls, proxies) in &mut doorways {
                if let Some(socket) = sockets.pop() {
                    entrances.push(Entrance { socket, tls: tls.clone(), proxies: proxies.clone() });
                }
            }
            let worker = Worker {
                number,
                entrances,
                settings: settings.clone(),
                shared: shared.clone(),
                reach: reach.clone(),
                law: law.clone(),
                doors: doors.clone(),
                office: office.clone(),
                outcomes: outcomes_office.clone(),
                stopping: stopping.clone(),
            };
            let thread = thread(format!("weir-{number}"), move || worker.run())?;
            running.workers.push(thread);
        }
        let listening: Vec<String> = running.addresses.iter().map(ToString::to_string).collect();
        let places =
            json!({ "process": std::process::id(), "listening": listening, "admin": admin, "control": steering });
        let beside = Beside {
            law,
            shared,
            reach,
            doors,
            places,
            certificates: renewed,
            stopping,
            control_stopping,
            showing_on,
            steering_on,
            door,
            recent: office.recent(),
            keeper,
            outcomes: kept,
        };
        running.control = Some(thread("weir-control".into(), move || beside.run())?);
        Ok(running)
    }

    /// Reads the rule files and the certificates again.
    pub fn reload(&self) {
        let who = Who::process();
        self.law.reload_by(&Reload { who, reason: String::new(), despite_cases: false, expect: None });
        for certificates in &self.certificates {
            if let Err(fault) = certificates.reload() {
                tracing::error!(%fault, "the certificates in use stay");
            }
        }
    }

    /// Finishes the requests in flight, at most as long as `drain` in `gateway.toml`, then stops everything.
    pub fn stop(mut self) -> Drained {
        let _ = self.stop.send(true);
        let mut cut = 0;
        for worker in self.workers.drain(..) {
            cut += worker.join().unwrap_or_else(|_| {
                tracing::error!("a worker ended by a panic");
                0
            });
        }
        let _ = self.stop_control.send(true);
        if let Some(control) = self.control.take()
            && control.join().is_err()
        {
            tracing::error!("the control thread ended by a panic");
        }
        self.snapshots.close();
        if let Some(answers) = self.answers.take()
            && answers.join().is_err()
        {
            tracing::error!("the thread that keeps customers' answers ended by a panic");
        }
        if let Some(keeping) = self.keeping.take() {
            keeping.join();
        }
        self.writers.iter_mut().filter_map(Option::take).for_each(Writer::join);
        if let Some(disk) = self.disk.take() {
            disk.join();
        }
        drop(self.listed.take());
        let _ = fs::remove_file(&self.socket);
        Drained { cut }
    }
}

/// The signals that end or reload a process.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Only caught: a file that may not grow is an error to its writer, not the end of the process.
    _file_too_large: Signal,
}

impl Signals {
    /// Listens for signals from now on: before anything is started, so that none of them ends the process half-way.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let hang_up = signal(SignalKind::hangup())?;
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let file_too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
        drop(inside);
        Ok(Self { runtime, hang_up, terminate, interrupt, _file_too_large: file_too_large })
    }

    /// Waits for SIGTERM or SIGINT. SIGHUP reads rules and certificates again.
    pub fn wait(&mut self, weir: &Weir) {
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.hang_up.recv() => weir.reload(),
                    _ = self.terminate.recv() => return,
                    _ = self.interrupt.recv() => return,
                }
            }
        });
    }
}

impl Options {
    fn apply(&self, settings: &mut Settings) {
        if let Some(listeners) = &self.listeners {
            settings.listeners.clone_from(listeners);
        }
        if let Some(admin) = self.admin {
            settings.admin = Some(admin);
        }
        if let Some(data) = &self.data {
            settings.data.clone_from(data);
        }
        if let Some(workers) = self.workers {
            settings.workers = workers;
        }
    }
}

/// What would keep these settings and rules from running, beside the rule files themselves: certificates, keys and
/// authorities that cannot be read. Nothing is made and nothing is bound.
pub fn preflight(settings: &Settings, rules: &RuleSet) -> Vec<String> {
    let tls = settings.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let unusable = tls.filter_map(|tls| {
        let made = |(certificate, key): &&(PathBuf, PathBuf)| tls.self_signed && !certificate.exists() && !key.exists();
        let files = tls.certificates.iter().filter(|pair| !made(pair));
        let pairs: Vec<_> =
            files.map(|(certificate, key)| Pair { certificate: certificate.clone(), key: key.clone() }).collect();
        if pairs.is_empty() {
            return None;
        }
        Certificates::with_clients(pairs, &WhenMissing::Fail, authority(tls)).err().map(|fault| fault.to_string())
    });
    let untrusted = Reach::new().prepare(&rules.upstreams);
    let unread = lists::unusable(&rules.lists, Clock::System.now());
    unusable.chain(untrusted.into_iter().map(|fault| fault.to_string())).chain(unread).collect()
}

#[allow(clippy::disallowed_methods, reason = "threads are started here, and joined in stop()")]
fn thread<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StartError> {
    std::thread::Builder::new().name(name).spawn(body).map_err(doing("starting a thread"))
}

/// Makes the data directory and gives the control socket's path, unless another Weir answers there.
fn claim_data(data: &Path) -> Result<PathBuf, StartError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(doing(format!("making the data directory {}", data.display())))?;
    // Shown to operators and found by them: without `..` and links.
    let data = fs::canonicalize(data).map_err(doing(format!("the data directory {}", data.display())))?;
    keep_to_its_owner(&data).map_err(doing(format!("keeping others out of the data directory {}", data.display())))?;
    let socket = data.join(SOCKET);
    match std::os::unix::net::UnixStream::connect(&socket) {
        Ok(_) => Err(StartError::DataInUse(data)),
        Err(_) => {
            let _ = fs::remove_file(&socket);
            Ok(socket)
        }
    }
}

/// Whoever may write in the data directory could put a link or a posture of their own there: nobody but its owner may.
fn keep_to_its_owner(data: &Path) -> io::Result<()> {
    let found = fs::metadata(data)?;
    let mode = found.permissions().mode();
    if mode & 0o022 != 0 {
        let dir = data.display();
        tracing::warn!("others could write in {dir} (mode {:o}); now only its owner can", mode & 0o7777);
        fs::set_permissions(data, fs::Permissions::from_mode(mode & 0o7755))?;
    }
    Ok(())
}

/// The law under the posture that was kept, and the thread that keeps both.
fn open_law(
    options: &Options,
    telemetry: &Telemetry,
    socket: &Path,
    loaded: Loaded,
    breach: Arc<Breach>,
) -> Result<(Arc<Law>, DiskThread, Loaded), StartError> {
    let data = socket.parent().unwrap_or(Path::new("."));
    let (disk, thread) = Disk::open(data, options.clock.clone(), telemetry.clone())
        .map_err(doing("starting what writes to the data directory"))?;
    let opening = Opening {
        dir: options.rules.clone(),
        adjust: Adjust { servers: options.servers.clone() },
        clock: options.clock.clone(),
        telemetry: telemetry.clone(),
        disk,
        breach,
    };
    match Law::open(opening, loaded) {
        Ok((law, loaded)) => Ok((Arc::new(law), thread, loaded)),
        Err(no_law) => {
            thread.join();
            Err(match no_law {
                NoLaw::Rules(loaded) => StartError::Rules(loaded),
                NoLaw::LacksArmed(playbooks) => StartError::LacksArmed { playbooks, data: data.to_path_buf() },
            })
        }
    }
}

/// What keeps the memory in the data directory.
fn keeper(settings: &Settings, data: &Path, shared: &Shared) -> Keeper {
    let kept = &settings.memory.retention;
    let retention =
        Retention { accounts: kept.accounts, devices: kept.devices, networks: kept.networks, sessions: kept.sessions };
    let (clock, telemetry) = (shared.clock.clone(), shared.telemetry.clone());
    Keeper::new(shared.memory.clone(), data.to_path_buf(), &shared.names, retention, clock, telemetry)
}

/// Where outcomes are kept, if they are.
fn outcomes(settings: &Settings, data: &Path, clock: &Clock) -> Result<Option<Kept>, StartError> {
    let Some(kept) = settings.outcomes else { return Ok(None) };
    let bounds = outcomes::Bounds { keep: kept.keep, bytes: kept.bytes };
    let opened = Kept::open(data, bounds, clock.clone()).map_err(doing("the outcomes in the data directory"))?;
    Ok(Some(opened))
}

fn shared(
    settings: &Settings,
    data: &Path,
    (clock, telemetry): (&Clock, &Telemetry),
    (breach, snapshots): (Arc<Breach>, Snapshots),
) -> Result<Shared, StartError> {
    let names = naming::open(data)
        .map_err(|error| doing("the key of the hashes in the data directory")(io::Error::other(error)))?;
    let identity = Identity::open(data, names.clone(), breach)
        .map_err(|error| doing("the signing keys in the data directory")(io::Error::other(error)))?;
    let places = Places {
        accounts: settings.memory.accounts,
        devices: settings.memory.devices,
        networks: settings.memory.networks,
        sessions: settings.memory.sessions,
        handoffs: settings.memory.handoffs,
        limits: settings.memory.limits,
        ..Places::default()
    };
    Ok(Shared {
        clock: clock.clone(),
        names,
        memory: Arc::new(Memory::new(&places)),
        identity: Arc::new(identity),
        lists: Arc::new(Lists::new(telemetry.listed.clone())),
        admission: Arc::default(),
        telemetry: telemetry.clone(),
        snapshots,
        circuits: Arc::default(),
        streams: Arc::new(Room::new(settings.bounds.streams, settings.times.stream_age)),
        whole_body: settings.bounds.whole_body,
    })
}

fn random(bytes: &mut [u8]) -> Result<(), StartError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| doing("reading randomness")(io::ErrorKind::Other.into()))
}

fn certificates(tls: Option<&Tls>, law: &Law) -> Result<Option<Certificates>, StartError> {
    let Some(tls) = tls else { return Ok(None) };
    let pairs =
        tls.certificates.iter().map(|(certificate, key)| Pair { certificate: certificate.clone(), key: key.clone() });
    let when_missing = match tls.self_signed {
        false => WhenMissing::Fail,
        true => {
            let rules = law.in_force().load();
            let hosts = rules.rules.sites.iter().flat_map(|site| site.hosts.iter().map(ToString::to_string)).collect();
            WhenMissing::SelfSigned(hosts)
        }
    };
    Ok(Some(Certificates::with_clients(pairs.collect(), &when_missing, authority(tls))?))
}

fn authority(tls: &Tls) -> Option<Authority> {
    tls.clients.clone().map(|(file, required)| Authority { file, required })
}

fn listen_alone(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let fault = |cause| BindFault { address, cause, help: "Choose another address for it in gateway.toml" };
    std::net::TcpListener::bind(address).map_err(|cause| fault(cause).into())
}

fn destination(settings: &Settings) -> Destination {
    match &settings.decisions.to {
        DecisionsTo::Stdout => Destination::Stdout,
        DecisionsTo::Off => Destination::Off,
        DecisionsTo::File(path) => Destination::File(path.clone()),
    }
}
