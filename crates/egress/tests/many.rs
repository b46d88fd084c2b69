//! 5,000 tunnels at once in one run, and what they cost the supervisor.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use common::{Kit, TestResolver, connect_through, rules};
use ringfence_egress::Limits;

const NAME: &str = "five_thousand_tunnels_fit_into_150_mib";
const MARKER: &str = "RINGFENCE_EGRESS_TEST_PROXY_FOR";
const TUNNELS: usize = 5000;
const MIB: u64 = 1 << 20;

/// The proxy alone in a process of its own, so that its memory can be told from the test's. Ends with its standard input.
fn proxy_process(server: &str) {
    let kit = Kit::start(rules(&[server], &[]), TestResolver::default(), |builder| builder.limits(Limits::default()));
    println!("\nproxy on {}", kit.address);
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// The largest resident set so far, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

fn open_files_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

#[test]
fn five_thousand_tunnels_fit_into_150_mib() {
    if let Ok(server) = std::env::var(MARKER) {
        return proxy_process(&server);
    }
    if !cfg!(target_os = "linux") || open_files_limit() < 2 * TUNNELS + 100 {
        println!("skipped {NAME}: needs Linux and a limit of {} open files (ulimit -n)", 2 * TUNNELS + 100);
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(MARKER, server.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let proxy: SocketAddr =
        lines.find_map(|line| line.unwrap().strip_prefix("proxy on ").map(|text| text.parse().unwrap())).unwrap();
    let before = peak_memory(child.id());

    let mut tunnels: Vec<(TcpStream, TcpStream)> = Vec::new();
    for _ in 0..TUNNELS {
        let (client, response) = connect_through(proxy, &server.to_string());
        assert_eq!(response.status, 200);
        tunnels.push((client, listener.accept().unwrap().0));
    }
    // Every one of them works, in both directions, while all are open.
    let block = vec![b'x'; 16 * 1024];
    for (client, server) in &mut tunnels {
        let mut back = vec![0; block.len()];
        client.write_all(&block).unwrap();
        server.read_exact(&mut back).unwrap();
        server.write_all(&block).unwrap();
        client.read_exact(&mut back).unwrap();
        assert!(back == block);
    }
    let after = peak_memory(child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    println!(
        "{TUNNELS} tunnels: {} MiB at most, {} MiB before the first; {} bytes each",
        after / MIB,
        before / MIB,
        (after - before) / TUNNELS as u64
    );
    assert!(after < 150 * MIB, "{} MiB", after / MIB);
}
