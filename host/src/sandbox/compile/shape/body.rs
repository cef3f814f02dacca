//! What of a function's body costs a compiler more than its length tells.

use super::{RESULTS_MAX, Signature, unreadable};
use wasmparser::{BlockType, FunctionBody, Operator};

/// Entries of one `br_table`.
const BRANCH_TARGETS_MAX: u32 = 100_000;

pub(super) struct Body {
    /// Parameters among them.
    pub(super) locals: u64,
    pub(super) loops: u64,
    pub(super) branch_targets: u64,
}

pub(super) fn read(body: &FunctionBody<'_>, signature: Signature, types: &[Signature]) -> Result<Body, String> {
    let mut read = Body { locals: signature.parameters as u64, loops: 0, branch_targets: 0 };
    for locals in body.get_locals_reader().map_err(unreadable)? {
        let (count, _) = locals.map_err(unreadable)?;
        read.locals = read.locals.saturating_add(count.into());
    }
    for operator in body.get_operators_reader().map_err(unreadable)? {
        match operator.map_err(unreadable)? {
            Operator::Loop { blockty } => {
                read.loops += 1;
                block(blockty, types)?;
            }
            Operator::Block { blockty } | Operator::If { blockty } => block(blockty, types)?,
            Operator::BrTable { targets } => {
                if targets.len() > BRANCH_TARGETS_MAX {
                    return Err(format!(
                        "the component has a br_table with {} targets: the most is {BRANCH_TARGETS_MAX}; let the largest `switch` be a look-up table",
                        targets.len()
                    ));
                }
                read.branch_targets += u64::from(targets.len());
            }
            _ => {}
        }
    }
    Ok(read)
}

/// What a block takes is handed over at each branch to it, as what it yields is.
fn block(ty: BlockType, types: &[Signature]) -> Result<(), String> {
    let BlockType::FuncType(index) = ty else { return Ok(()) };
    match types.get(index as usize) {
        Some(signature) if signature.parameters > RESULTS_MAX => Err(format!(
            "the component has a block that takes {} values: the most is {RESULTS_MAX}; keep them in memory",
            signature.parameters
        )),
        Some(_) | None => Ok(()),
    }
}
