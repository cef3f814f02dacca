//! The contract is kept: no released version changes its shape, and a component that was built for one runs as it did.

mod kept;
mod shape;
