//! Between the component's exports and the plugin's two functions: conversions, and nothing that decides anything.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::sandmill::plugin::types as wit;
use crate::{Context, Failure, Item, Manifest, Outcome};

/// Makes a component of `fn manifest() -> Manifest` and
/// `fn process(item: Item<T>, cx: &Context<C>) -> Result<Outcome, Failure>`.
///
/// To be used once in a crate whose `crate-type` is `cdylib`. `T` is any type that deserializes from the item, `C` any that
/// deserializes from the configuration.
///
/// An item that does not fit `T` fails with the code `bad_item`, a configuration that does not fit `C` with `bad_config`,
/// before `process` is called. Both are permanent.
#[macro_export]
macro_rules! export {
    ($manifest:path, $process:path $(,)?) => {
        const _: () = {
            // Natively nothing is exported: the names of a component's exports are none that a linker takes.
            #[allow(dead_code, reason = "constructed by nobody; used by its exports")]
            struct Plugin;

            impl $crate::bindings::exports::sandmill::plugin::handler::Guest for Plugin {
                fn describe() -> $crate::bindings::sandmill::plugin::types::Manifest {
                    $crate::__describe($manifest)
                }

                fn process(
                    item: $crate::bindings::sandmill::plugin::types::Item,
                    context: $crate::bindings::sandmill::plugin::types::Context,
                ) -> ::core::result::Result<
                    $crate::bindings::sandmill::plugin::types::Outcome,
                    $crate::bindings::sandmill::plugin::types::Failure,
                > {
                    $crate::__process(item, context, $process)
                }
            }

            #[cfg(not(target_family = "wasm"))]
            #[used]
            static KEPT: (
                fn() -> $crate::bindings::sandmill::plugin::types::Manifest,
                fn(
                    $crate::bindings::sandmill::plugin::types::Item,
                    $crate::bindings::sandmill::plugin::types::Context,
                ) -> ::core::result::Result<
                    $crate::bindings::sandmill::plugin::types::Outcome,
                    $crate::bindings::sandmill::plugin::types::Failure,
                >,
            ) = (
                <Plugin as $crate::bindings::exports::sandmill::plugin::handler::Guest>::describe,
                <Plugin as $crate::bindings::exports::sandmill::plugin::handler::Guest>::process,
            );

            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Plugin with_types_in $crate::bindings);
        };
    };
}

pub fn describe(manifest: impl FnOnce() -> Manifest) -> wit::Manifest {
    manifest().into_wit()
}

pub fn process<T, C>(
    item: wit::Item,
    context: wit::Context,
    work: impl FnOnce(Item<T>, &Context<C>) -> Result<Outcome, Failure>,
) -> Result<wit::Outcome, wit::Failure>
where
    T: DeserializeOwned,
    C: DeserializeOwned,
{
    let run = || {
        let context = Context::from_wit(context)?;
        let item = Item::from_wit(item)?;
        work(item, &context)?.into_wit()
    };
    run().map_err(Failure::into_wit)
}

/// The JSON Schema of a type, as the host and the providers want it: no references where they can be avoided.
pub(crate) fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testing::{context, item};

    #[derive(Deserialize)]
    struct Ticket {
        text: String,
    }

    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        loud: bool,
    }

    #[expect(clippy::unnecessary_wraps, reason = "the signature that plugins have")]
    fn echo(item: Item<Ticket>, cx: &Context<Config>) -> Result<Outcome, Failure> {
        let text = item.data.text;
        Ok(Outcome::emit(if cx.config.loud { text.to_uppercase() } else { text }))
    }

    fn failure_code(item_json: &str, config: &str) -> String {
        process(item(item_json), context(config), echo).expect_err("fails").code
    }

    #[test]
    fn an_item_and_a_configuration_arrive_as_types() {
        let outcome = process(item(r#"{"text":"hey"}"#), context(r#"{"loud":true}"#), echo).expect("an outcome");
        let wit::Outcome::Emit(emissions) = outcome else { panic!("emits") };
        assert_eq!(emissions.len(), 1);
        assert_eq!(emissions[0].value, "\"HEY\"");
        assert_eq!(emissions[0].name, None);
    }

    #[test]
    fn an_item_of_another_shape_is_a_permanent_failure() {
        assert_eq!(failure_code(r#"{"txt":1}"#, "{}"), "bad_item");
        assert_eq!(failure_code("[]", "{}"), "bad_item");
    }

    #[test]
    fn a_configuration_of_another_shape_is_a_permanent_failure() {
        assert_eq!(failure_code(r#"{"text":""}"#, r#"{"loud":3}"#), "bad_config");
    }
}
