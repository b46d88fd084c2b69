//! The proxy alone in a process, for benches and for trying it out.
//!
//! `egress_server LISTEN ALLOW…` serves until its standard input ends. It prints where it listens and what starting took, which is
//! a cost of every run with an allowlist, and at the end its summary.

use std::io::Read;
use std::net::TcpListener;
use std::time::Instant;

use ringfence_egress::{Limits, Proxy, Rules};
use ringfence_policy::{Origin, Rule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().ok_or("usage: egress_server LISTEN ALLOW…")?;
    let origin = Origin::Flag { flag: "--allow".to_owned() };
    let allow =
        arguments.map(|text| text.parse().map(|rule| Rule::new(rule, origin.clone()))).collect::<Result<_, _>>()?;
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    let begin = Instant::now();
    let proxy = Proxy::builder(Rules::new(allow, Vec::new())).limits(Limits::default()).listen(listener).start()?;
    println!("listening on {address} after {} us", begin.elapsed().as_micros());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:#?}", proxy.finish());
    Ok(())
}
