//! The proxy alone in a process, for benches and for trying it out.
//!
//! `egress_server LISTEN ALLOW…` serves until its standard input ends, and prints where it listens and, at the end, its summary.

use std::io::Read;
use std::net::TcpListener;

use ringfence_egress::{Limits, Proxy, Rules};
use ringfence_policy::{Origin, Rule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments
        .next()
        .ok_or("usage: egress_server LISTEN ALLOW…")?;
    let origin = Origin::Flag {
        flag: "--allow".to_owned(),
    };
    let allow = arguments
        .map(|text| text.parse().map(|rule| Rule::new(rule, origin.clone())))
        .collect::<Result<_, _>>()?;
    let listener = TcpListener::bind(listen)?;
    println!("listening on {}", listener.local_addr()?);
    let proxy = Proxy::builder(Rules::new(allow, Vec::new()))
        .limits(Limits::default())
        .listen(listener)
        .start()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:#?}", proxy.finish());
    Ok(())
}
