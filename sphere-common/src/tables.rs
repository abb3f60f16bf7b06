//! The look-ups that deciding needs: BPF maps in the kernel, ordinary collections on the host.

use crate::abi::{DeviceKey, DeviceValue, EndpointValue, FlowValue, Port, SubnetKey, SubnetValue};
use crate::family::{Family, V4, V6};

/// Tables of one address family.
pub trait FamilyTables<F: Family> {
    /// The exact endpoint.
    fn endpoint(&self, key: &F::EndpointKey) -> Option<EndpointValue>;
    /// The longest prefix that covers `data`.
    fn cidr(&self, data: F::CidrData) -> Option<EndpointValue>;
    /// The flow.
    fn flow(&self, key: &F::FlowKey) -> Option<FlowValue>;
    /// Overwrites a flow that exists; does nothing otherwise.
    fn update_flow(&mut self, key: &F::FlowKey, value: &FlowValue);
    /// Adds or overwrites a flow. False when the table is full.
    fn insert_flow(&mut self, key: &F::FlowKey, value: &FlowValue) -> bool;
    /// Removes a flow.
    fn remove_flow(&mut self, key: &F::FlowKey);
    /// The flow that a slot was given to last.
    fn slot(&self, index: u32) -> Option<F::FlowKey>;
    /// Gives a slot to a flow.
    fn set_slot(&mut self, index: u32, key: &F::FlowKey);
}

/// All tables.
pub trait Tables: FamilyTables<V4> + FamilyTables<V6> {
    /// The device port with this interface index.
    fn port(&self, ifindex: u32) -> Option<Port>;
    /// The device subnet in the trie that holds this address on this port.
    fn subnet(&self, key: &SubnetKey) -> Option<SubnetValue>;
    /// Finds the device, or admits it as `newcomer` (whose index is chosen here), and moves its cursor on by `slots`.
    /// Returns its index and where the cursor was; `None` when there is no room for another device.
    fn claim_slots(&mut self, device: &DeviceKey, newcomer: &DeviceValue, slots: u32) -> Option<(u32, u32)>;
}
