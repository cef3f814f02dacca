//! What a component needs from the start, told before any item runs.

use super::*;

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
