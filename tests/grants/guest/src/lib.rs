//! Reaches for what the item says (`{"do": "read", "path": "/data/a.txt"}`), and emits what came of it: `{"ok": …}` or
//! `{"refused": …}`.

#[cfg(target_family = "wasm")]
mod reach;

use sandmill_plugin::bindings::exports::sandmill::plugin::handler::Guest;
use sandmill_plugin::bindings::sandmill::plugin::types::{Context, Emission, Failure, Item, Manifest, Outcome};
use serde_json::{Value, json};

struct Reaching;

impl Guest for Reaching {
    fn describe() -> Manifest {
        Manifest {
            name: "reaching".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Reaches for what is outside, each item for something else.".into(),
            config_schema: None,
            output_schema: None,
            required_fields: vec!["do".into()],
            model_roles: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn process(item: Item, _: Context) -> Result<Outcome, Failure> {
        let data: Value = serde_json::from_str(&item.json).unwrap_or_default();
        let came = match reached(&data) {
            Ok(value) => json!({ "ok": value }),
            Err(reason) => json!({ "refused": reason }),
        };
        Ok(Outcome::Emit(vec![Emission { value: came.to_string(), name: None, extra: Vec::new() }]))
    }
}

#[cfg(target_family = "wasm")]
fn reached(data: &Value) -> Result<Value, String> {
    reach::reach(data)
}

/// Natively there is no sandbox to reach out of.
#[cfg(not(target_family = "wasm"))]
fn reached(data: &Value) -> Result<Value, String> {
    Err(data.to_string())
}

#[cfg(target_family = "wasm")]
sandmill_plugin::bindings::export!(Reaching with_types_in sandmill_plugin::bindings);

/// Natively nothing is exported.
#[cfg(not(target_family = "wasm"))]
#[used]
static KEPT: (fn() -> Manifest, Process) = (<Reaching as Guest>::describe, <Reaching as Guest>::process);

#[cfg(not(target_family = "wasm"))]
type Process = fn(Item, Context) -> Result<Outcome, Failure>;
