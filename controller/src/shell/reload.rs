//! SIGHUP: matrix, inventory and policy are read again. A file with a mistake changes nothing.

use super::{RunError, Shell};
use crate::event::Event;

impl Shell {
    pub(super) fn reload(&mut self) -> Result<(), RunError> {
        match self.config.inventory_again() {
            Ok(inventory) => {
                tracing::info!(nodes = inventory.nodes.len(), "inventory read again");
                let nodes = inventory.nodes.clone().into_iter().collect();
                self.inventory = inventory;
                self.deliver(Event::Inventory { nodes })?;
            }
            Err(problems) => tracing::error!("the inventory in use is kept:\n{problems}"),
        }
        match self.config.policy_again() {
            Ok(policy) if policy == self.config.recovery.policy => {}
            Ok(policy) => {
                tracing::info!(rules = policy.rules.len(), "policy read again");
                self.config.recovery.policy = policy.clone();
                self.deliver(Event::Policy { policy })?;
            }
            Err(problems) => tracing::error!("the policy in use is kept:\n{problems}"),
        }
        match self.config.matrix_again() {
            Ok(Some(matrix)) if matrix.source() != self.core.matrix().source() => {
                if self.core.is_leader() {
                    tracing::info!("matrix read again; it is in force when it is committed");
                    self.deliver(Event::MatrixFile { text: matrix.source().to_owned() })?;
                } else {
                    tracing::warn!(
                        "the matrix file differs from the matrix in force, which only the leader changes: send the \
                         signal there, or use `hactl matrix apply FILE`"
                    );
                }
            }
            Ok(_) => tracing::info!("the matrix is as before"),
            Err(why) => tracing::error!("the matrix in force is kept:\n{why}"),
        }
        Ok(())
    }
}
