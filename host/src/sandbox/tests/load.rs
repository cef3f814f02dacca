//! What a component needs from the start, told before any item runs.

use super::super::contract::Speaks;
use super::super::linked::Linked;
use super::super::plugin::link;
use super::*;
use wasmtime::component::Component;

/// A plugin that says of itself that it is for another version of the contract.
fn of_version(version: &str) -> String {
    calling("", &[]).replace("@1.0.0", &format!("@{version}"))
}

/// Whether wasmtime by itself would take it.
fn links(text: &str) -> bool {
    let engine = Engine::new(Limits::default(), 1).unwrap().wasmtime.clone();
    let pre = link(&engine).unwrap().instantiate_pre(&Component::new(&engine, text).unwrap());
    pre.and_then(|pre| Linked::new(Speaks::V1_0, pre)).is_ok()
}

#[tokio::test]
async fn a_newer_version_is_refused_though_the_linker_would_take_it() {
    assert!(links(&of_version("1.0.0")) && links(&of_version("1.9.0")));
    assert!(!links(&of_version("2.0.0")) && !links(&of_version("0.9.0")));
    for version in ["1.9.0", "2.0.0"] {
        let refused = refusal(Limits::default(), &of_version(version)).await;
        let built_for = format!("built for sandmill:plugin@{version}, and this sandmill knows up to 1.0.0");
        assert!(refused.contains(&built_for), "{refused}");
    }
    assert_eq!(verdict(Limits::default(), &of_version("1.0.0")).await, DONE);
}

#[tokio::test]
async fn a_component_that_needs_more_than_it_may_have_is_told_which_flag_gives_it() {
    let instances =
        |count: usize| format!("(core module $more) {}", "(core instance (instantiate $more))".repeat(count));
    let memories = |count: usize| {
        format!("(core module $more (memory 1)) {}", "(core instance (instantiate $more))".repeat(count))
    };
    let tables = |count: usize| {
        format!("(core module $more (table 1 funcref)) {}", "(core instance (instantiate $more))".repeat(count))
    };
    for (sections, flag) in [
        (vec![("pages", "3000".to_owned())], "--limit-memory"),
        (vec![("fields", "(table 200000 funcref)".to_owned())], "--limit-table"),
        (vec![("fields", "(table 60000 funcref) (table 60000 funcref)".to_owned())], "--limit-table"),
        (vec![("lower", instances(127))], "--limit-instances"),
        (vec![("lower", memories(8))], "--limit-instances"),
        (vec![("lower", tables(33))], "--limit-instances"),
    ] {
        let sections: Vec<(&str, &str)> = sections.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let refused = refusal(Limits::default(), &plugin(&sections)).await;
        assert!(refused.contains(flag), "{flag}: {refused}");
        let more = Limits { memory_bytes: 256 << 20, table_elements: 400_000, instances: 256, ..Limits::default() };
        assert_eq!(verdict(more, &plugin(&sections)).await, DONE, "{flag}");
    }
}

#[tokio::test]
async fn what_a_manifest_says_is_bounded() {
    // Length of the list of required fields, at 2048 + 48.
    let refused = refusal(
        Limits::default(),
        &plugin(&[("fields", "(data (i32.const 2096) \"\\00\\40\\00\\00\\e9\\03\\00\\00\")")]),
    )
    .await;
    assert!(refused.contains("1001 required fields"), "{refused}");
}
