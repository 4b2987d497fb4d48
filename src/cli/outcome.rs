//! `weir outcome`: how a decision turned out, said by whoever has learned it later.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use http::Method;
use serde_json::json;

use super::SteerArguments;
use super::asking;
use super::steer::finish;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir outcome 5f0c2d9e8b7a46135f0c2d9e8b7a4613 fraud --reason \"chargeback 8841\"
  weir outcome 5f0c2d9e8b7a46135f0c2d9e8b7a4613 genuine --reason \"support called back\"

The reference is the request's id: \"id\" in the decision log, and in what a customer was shown. The
last word counts. weir calibrate reads what was kept; the reason goes into the audit record.
Exit codes: 0 kept, 1 it was not, 2 the command line is wrong")]
pub struct OutcomeArguments {
    /// The request's id
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// What it was
    #[arg(value_enum)]
    outcome: Came,
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    steer: SteerArguments,
}

/// How it turned out.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Came {
    /// It was somebody else
    Fraud,
    /// It was the account's owner
    Genuine,
}

/// Says how a decision turned out.
pub fn outcome(arguments: &OutcomeArguments) -> anyhow::Result<ExitCode> {
    let came = match arguments.outcome {
        Came::Fraud => "fraud",
        Came::Genuine => "genuine",
    };
    let body = json!({ "reference": arguments.reference, "outcome": came, "reason": arguments.reason });
    let told = asking::ask(&arguments.steer, Method::POST, "/v1/outcomes", Some(&body))?;
    finish(&arguments.steer, &told, |document| {
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        format!("{} was {}. The next weir calibrate counts it.\n", text("reference"), text("outcome"))
    })
}
