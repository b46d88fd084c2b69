//! `cargo xtask bench egress`: the egress proxy side by side with tinyproxy and squid, in one run on one machine.
//!
//! All of it on the loopback. Rounds are interleaved, so that a machine that slows down slows all of them down; each number is
//! the median of its rounds.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Arguments of `cargo xtask bench egress`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Give load generator and server one processor and the proxies another. Where there are only two, three busy processes
    /// otherwise take turns on them, and what is measured is the scheduler
    #[arg(long)]
    separate: bool,
}

/// What was measured about one way to the server.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// `direct`, or the proxy's name.
    pub(crate) name: &'static str,
    /// New tunnels per second: connected, confirmed by the server's having accepted, closed. For `direct`: connections.
    pub(crate) tunnels_per_second: f64,
    /// Processor time of the proxy per tunnel, where the OS tells (Linux); zero for `direct`. Load generator and server share
    /// the machine with the proxy, so that on few cores this says more about the proxy than the rate does.
    pub(crate) processor: Duration,
    /// Median time from the first packet to the first byte back, one at a time.
    pub(crate) first_byte: Duration,
    /// Median round trip of one byte through an open tunnel.
    pub(crate) round_trip: Duration,
    /// Bytes per second of one download.
    pub(crate) bulk: f64,
}

/// Runs the bench and prints a table. The first row is the direct connection, the second the proxy of this workspace.
///
/// # Errors
/// A proxy that cannot be built or started, or a target that was missed.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, String> {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    if arguments.separate {
        // Before any thread is made, so that all of them have it.
        pin(std::process::id(), GENERATOR_PROCESSOR).map_err(failed("cannot choose a processor"))?;
    }
    let server = EchoServer::start().map_err(failed("cannot start the server"))?;
    let directory = std::env::temp_dir().join(format!("ringfence-bench-egress-{}", std::process::id()));
    fs::create_dir_all(&directory).map_err(failed("cannot create a directory for the other proxies' files"))?;
    let measured = measure_all(&server, &directory, arguments.separate);
    // Logs and configurations of the other proxies; nothing depends on them any more.
    let _ = fs::remove_dir_all(&directory);
    let rows = measured.map_err(failed("the bench failed"))?;
    println!("{}", Table(&rows));
    check(&rows)?;
    Ok(rows)
}

const ROUNDS: usize = 5;
const TUNNEL_TIME: Duration = Duration::from_secs(2);
const CLIENTS: usize = 8;
const LATENCY_SAMPLES: usize = 400;
const BULK_BYTES: u64 = 1 << 30;

/// Where the load generator and its server run, if they are kept apart from the proxies.
const GENERATOR_PROCESSOR: &str = "0";
const PROXY_PROCESSOR: &str = "1";

/// Keeps every thread of a process on one processor (taskset(1)).
fn pin(process: u32, processor: &str) -> io::Result<()> {
    let mut taskset = Command::new("taskset");
    let status = taskset.args(["--all-tasks", "--cpu-list", "--pid", processor]).arg(process.to_string());
    match status.stdout(Stdio::null()).status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("taskset failed")),
    }
}

fn measure_all(server: &EchoServer, directory: &Path, separate: bool) -> io::Result<Vec<Row>> {
    let proxies = [
        ProxyProcess::ringfence(server.address)?,
        ProxyProcess::tinyproxy(directory)?,
        ProxyProcess::squid(directory)?,
    ];
    if separate {
        proxies.iter().try_for_each(|proxy| pin(proxy.child.id(), PROXY_PROCESSOR))?;
    }
    let ways: Vec<Option<&ProxyProcess>> = std::iter::once(None).chain(proxies.iter().map(Some)).collect();
    let mut samples: Vec<Vec<Row>> = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (index, proxy) in ways.iter().enumerate() {
            let way = Way { proxy: proxy.map(|proxy| proxy.address), server: server.address };
            let before = proxy.map_or(Duration::ZERO, ProxyProcess::processor_time);
            let tunnels = way.tunnels()?;
            let used = proxy.map_or(Duration::ZERO, ProxyProcess::processor_time).saturating_sub(before);
            samples[index].push(Row {
                name: proxy.map_or("direct", |proxy| proxy.name),
                tunnels_per_second: f64::from(tunnels) / TUNNEL_TIME.as_secs_f64(),
                processor: used / tunnels.max(1),
                first_byte: way.first_byte()?,
                round_trip: way.round_trip()?,
                bulk: way.bulk()?,
            });
        }
    }
    Ok(samples.iter().map(|rounds| median_row(rounds)).collect())
}

/// The promises of the egress proxy.
fn check(rows: &[Row]) -> Result<(), String> {
    let row = |name| rows.iter().find(|row| row.name == name).ok_or_else(|| format!("{name} was not measured"));
    let (direct, ours, tinyproxy, squid) = (row("direct")?, row("ringfence")?, row("tinyproxy")?, row("squid")?);
    let added = ours.first_byte.saturating_sub(direct.first_byte);
    let promises = [
        ("tunnels/s at least 2 x tinyproxy", ours.tunnels_per_second >= 2.0 * tinyproxy.tunnels_per_second),
        ("tunnels/s at least 1 x squid", ours.tunnels_per_second >= squid.tunnels_per_second),
        ("added latency of a new tunnel under 0.5 ms", added < Duration::from_micros(500)),
        ("bulk at least 0.8 x direct", ours.bulk >= 0.8 * direct.bulk),
    ];
    let missed: Vec<&str> = promises.iter().filter(|(_, kept)| !kept).map(|(promise, _)| *promise).collect();
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {}", missed.join("; "))) }
}

/// One way to the server.
#[derive(Clone, Copy)]
struct Way {
    proxy: Option<SocketAddr>,
    server: SocketAddr,
}

impl Way {
    fn open(&self) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.proxy.unwrap_or(self.server))?;
        stream.set_nodelay(true)?;
        if self.proxy.is_some() {
            let target = self.server;
            stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes())?;
            let mut head = Vec::new();
            let mut buffer = [0; 1024];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => head.extend_from_slice(&buffer[..count]),
                }
            }
            if head.get(9..12) != Some(b"200") {
                return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
            }
        }
        Ok(stream)
    }

    /// How many tunnels were opened in [`TUNNEL_TIME`].
    fn tunnels(self) -> io::Result<u32> {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || -> io::Result<u32> {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        drop(self.open()?);
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        thread::sleep(TUNNEL_TIME);
        stop.store(true, Ordering::Relaxed);
        let mut total = 0;
        for client in clients {
            total += client.join().map_err(|_| io::Error::other("a client panicked"))??;
        }
        Ok(total)
    }

    fn first_byte(self) -> io::Result<Duration> {
        median_time(|| ping(&mut self.open()?))
    }

    fn round_trip(self) -> io::Result<Duration> {
        let mut stream = self.open()?;
        median_time(|| ping(&mut stream))
    }

    fn bulk(self) -> io::Result<f64> {
        let mut stream = self.open()?;
        stream.write_all(&[DOWNLOAD])?;
        let mut buffer = vec![0; 256 * 1024];
        let begin = Instant::now();
        let mut left = BULK_BYTES;
        while left > 0 {
            match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => left = left.saturating_sub(count as u64),
            }
        }
        Ok(BULK_BYTES as f64 / begin.elapsed().as_secs_f64())
    }
}

fn ping(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&[PING])?;
    stream.read_exact(&mut [0])
}

fn median_time(mut sample: impl FnMut() -> io::Result<()>) -> io::Result<Duration> {
    let mut times = Vec::with_capacity(LATENCY_SAMPLES);
    for _ in 0..LATENCY_SAMPLES {
        let begin = Instant::now();
        sample()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn median_row(rounds: &[Row]) -> Row {
    fn median<T: PartialOrd + Copy>(rounds: &[Row], value: impl Fn(&Row) -> T) -> T {
        let mut values: Vec<T> = rounds.iter().map(value).collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        values[values.len() / 2]
    }
    Row {
        name: rounds[0].name,
        tunnels_per_second: median(rounds, |row| row.tunnels_per_second),
        processor: median(rounds, |row| row.processor),
        first_byte: median(rounds, |row| row.first_byte),
        round_trip: median(rounds, |row| row.round_trip),
        bulk: median(rounds, |row| row.bulk),
    }
}

const PING: u8 = b'p';
const DOWNLOAD: u8 = b'd';

/// Sends pings back, and a gigabyte when asked for it.
struct EchoServer {
    address: SocketAddr,
}

impl EchoServer {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        // As many threads as there are clients, so that no thread is created while time is taken.
        for _ in 0..CLIENTS * 2 {
            let listener = listener.try_clone()?;
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    // A client that leaves in the middle is the end of its own connection only.
                    let _ = serve(stream);
                }
            });
        }
        Ok(Self { address })
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        if byte[0] == DOWNLOAD {
            let block = vec![0; 256 * 1024];
            let mut left = BULK_BYTES;
            while left > 0 {
                let count = stream.write(&block[..block.len().min(usize::try_from(left).unwrap_or(usize::MAX))])?;
                left -= count as u64;
            }
        } else {
            stream.write_all(&byte)?;
        }
    }
    Ok(())
}

/// A proxy in a process of its own, ended with this value.
struct ProxyProcess {
    name: &'static str,
    address: SocketAddr,
    child: Child,
}

impl ProxyProcess {
    fn ringfence(server: SocketAddr) -> io::Result<Self> {
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--release", "--package", "ringfence-egress", "--example", "egress_server"])
            .status()?;
        if !built.success() {
            return Err(io::Error::other("the proxy does not build"));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let mut child = Command::new(target.join("release/examples/egress_server"))
            .args(["127.0.0.1:0".to_owned(), server.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut words = line.trim().strip_prefix("listening on ").unwrap_or_default().split(" after ");
        let address = words.next().and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("the proxy said: {line}")))?;
        println!("ringfence's proxy started in {}, its first time in the process", words.next().unwrap_or("?"));
        Ok(Self { name: "ringfence", address, child })
    }

    fn tinyproxy(directory: &Path) -> io::Result<Self> {
        let address = free_address()?;
        let configuration = format!(
            "Port {}\nListen 127.0.0.1\nMaxClients 1000\nTimeout 60\nLogLevel Critical\nLogFile \"{}\"\nAllow 127.0.0.1\n",
            address.port(),
            directory.join("tinyproxy.log").display()
        );
        let file = directory.join("tinyproxy.conf");
        fs::write(&file, configuration)?;
        Self::spawn("tinyproxy", address, Command::new("tinyproxy").arg("-d").arg("-c").arg(file))
    }

    fn squid(directory: &Path) -> io::Result<Self> {
        let address = free_address()?;
        let configuration = format!(
            "http_port 127.0.0.1:{}\nacl here src 127.0.0.1/32\nhttp_access allow here\ncache deny all\ncache_mem 8 MB\n\
             access_log none\ncache_log /dev/null\ncache_store_log none\npid_filename none\npinger_enable off\n\
             shutdown_lifetime 0 seconds\nvisible_hostname localhost\ncoredump_dir {}\n",
            address.port(),
            directory.display()
        );
        let file = directory.join("squid.conf");
        fs::write(&file, configuration)?;
        let program = if Path::new("/usr/sbin/squid").exists() { "/usr/sbin/squid" } else { "squid" };
        Self::spawn("squid", address, Command::new(program).arg("-N").arg("-f").arg(file))
    }

    fn spawn(name: &'static str, address: SocketAddr, command: &mut Command) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("{name} (Debian package {name}): {error}")))?;
        let process = Self { name, address, child };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err(io::Error::other(format!("{name} does not listen on {address}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(process)
    }
}

impl ProxyProcess {
    /// User and system time so far (proc_pid_stat(5), fields 14 and 15, in hundredths of a second).
    fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The second field may hold anything, in parentheses.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago; these proxies cannot be handed a socket.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

struct Table<'a>(&'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:>12}{:>17}{:>18}{:>18}{:>14}",
            "", "tunnels/s", "CPU/tunnel (us)", "first byte (us)", "round trip (us)", "bulk (GB/s)"
        )?;
        for row in self.0 {
            writeln!(
                f,
                "{:<12}{:>12.0}{:>17}{:>18}{:>18}{:>14.2}",
                row.name,
                row.tunnels_per_second,
                row.processor.as_micros(),
                row.first_byte.as_micros(),
                row.round_trip.as_micros(),
                row.bulk / 1e9
            )?;
        }
        Ok(())
    }
}
