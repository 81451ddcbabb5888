//! `cargo run -p widget-store`: one program, two roles. The supervisor owns the port and starts the
//! program again as the worker, which serves the store and is there to be killed.

use std::process::ExitCode;

use widget_store::{Config, supervise, work};

/// Exit code for a wrong command line.
const USAGE: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn supervisor(config: &Config) -> stepwell::Result<ExitCode> {
    supervise(config).await
}

#[tokio::main]
async fn worker(config: &Config) -> stepwell::Result<ExitCode> {
    work(config).await
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role = match arguments.as_slice() {
        [] => supervisor,
        [role] if role == "worker" => worker,
        _ => {
            eprintln!(
                "usage: [PORT=8000] [DATABASE_URL=sqlite:widget-store.db] widget-store\n\
                 The database may also be postgres://user:password@host/shop, for several stores.\n\
                 A shop whose checkout survives its own crash button."
            );
            return ExitCode::from(USAGE);
        }
    };
    match Config::from_env().and_then(|config| role(&config)) {
        Ok(code) => code,
        Err(error) => {
            let mut chain: Vec<&str> = error.chain().collect();
            // Some errors repeat their cause in their own message.
            chain.dedup_by(|cause, message| message.ends_with(&**cause));
            eprintln!("error: {}", chain.join("\n  caused by: "));
            ExitCode::FAILURE
        }
    }
}
