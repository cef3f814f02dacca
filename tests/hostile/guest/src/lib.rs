//! Attacks the host as the item says (`{"attack": "…"}`); an item that says nothing is a neighbour, and well behaved.
//!
//! Written against the bare bindings, since the SDK would not let a plugin say much of this.

mod models;
mod returned;
mod world;

use sandmill_plugin::bindings::exports::sandmill::plugin::handler::Guest;
use sandmill_plugin::bindings::sandmill::plugin::types::{
    Context, Emission, Failure, FailureKind, Item, Manifest, ModelRole, Outcome,
};
use serde_json::Value;

struct Hostile;

impl Guest for Hostile {
    fn describe() -> Manifest {
        Manifest {
            name: "hostile".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Attacks the host, each item in another way.".into(),
            config_schema: None,
            output_schema: None,
            required_fields: Vec::new(),
            model_roles: vec![ModelRole {
                name: "default".into(),
                description: "any".into(),
                optional: true,
                extra: Vec::new(),
            }],
            extra: Vec::new(),
        }
    }

    fn process(item: Item, context: Context) -> Result<Outcome, Failure> {
        let data: Value = serde_json::from_str(&item.json).unwrap_or_default();
        let attack = data["attack"].as_str().unwrap_or_default();
        match attack {
            "" => Ok(emit("{\"ok\":true}")),
            _ => None
                .or_else(|| returned::run(attack, &data, &context))
                .or_else(|| models::run(attack, &data))
                .or_else(|| world::run(attack, &data, &item))
                .unwrap_or_else(|| Err(fail("unknown_attack", attack))),
        }
    }
}

/// `None`: the attack is another module's.
type Run = Option<Result<Outcome, Failure>>;

fn emission(value: impl Into<String>) -> Emission {
    Emission { value: value.into(), name: None, extra: Vec::new() }
}

fn emit(value: impl Into<String>) -> Outcome {
    Outcome::Emit(vec![emission(value)])
}

fn fail(code: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure {
        kind: FailureKind::Permanent,
        code: code.into(),
        message: message.into(),
        detail: None,
        extra: Vec::new(),
    }
}

#[cfg(target_family = "wasm")]
sandmill_plugin::bindings::export!(Hostile with_types_in sandmill_plugin::bindings);

/// Natively nothing is exported.
#[cfg(not(target_family = "wasm"))]
#[used]
static KEPT: (fn() -> Manifest, Process) = (<Hostile as Guest>::describe, <Hostile as Guest>::process);

#[cfg(not(target_family = "wasm"))]
type Process = fn(Item, Context) -> Result<Outcome, Failure>;
