//! The flow table: one row per flow and point.

use arrow_array::RecordBatch;
use arrow_array::types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};

use super::column::{Columns, batch, ready, zeros};
use super::halves::{HalfColumns, known};
use crate::decode::packet::{NO_VLAN, Tunnel};
use crate::flow::addresses::Addresses;
use crate::flow::community::community_id;
use crate::flow::half::NEVER;
use crate::flow::record::Flow;

/// What the rows have in common.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Flows that are not closed may still change.
    pub open: bool,
    pub community_id: bool,
}

/// Rows handled together, so that they are still in the cache when the last column reads them.
const BLOCK: usize = 64;

/// The flow table while it is filled.
pub struct FlowTable {
    /// Address numbers of initiators and responders.
    ends: [Vec<u32>; 2],
    flows: Columns<'static, Flow>,
    halves: [HalfColumns; 2],
    /// Rows so far.
    filled: usize,
    total: usize,
}

impl FlowTable {
    /// The table of so many flows.
    pub fn new(total: usize, look: Look) -> Self {
        let ends = [Vec::with_capacity(total), Vec::with_capacity(total)];
        let halves = [HalfColumns::new(0, "fwd", total), HalfColumns::new(1, "rev", total)];
        FlowTable { ends, flows: columns(total, look), halves, filled: 0, total }
    }

    /// Reads the next flows; `addresses` numbers their ends.
    pub fn fill(&mut self, flows: &[Flow], addresses: &mut Addresses) {
        for block in flows.chunks(BLOCK) {
            for flow in block {
                for (numbers, (address, _)) in self.ends.iter_mut().zip(flow.endpoints()) {
                    numbers.push(addresses.number(address));
                }
            }
            self.flows.fill(block);
            self.halves.iter_mut().for_each(|half| half.fill(block, self.filled));
            self.filled += block.len();
        }
    }

    /// The table, once all flows were read.
    pub fn finish(self) -> RecordBatch {
        let zeros = zeros(self.total);
        let halves = self.halves.into_iter().flat_map(|half| half.finish(&zeros));
        let ends = ["src", "dst"].into_iter().zip(self.ends).map(|(name, numbers)| ready::<UInt32Type>(name, numbers));
        let (fields, arrays) = self.flows.finish(&zeros).chain(ends).chain(halves).unzip();
        batch(fields, arrays)
    }
}

/// The columns that belong to neither half.
fn columns(total: usize, look: Look) -> Columns<'static, Flow> {
    let mut columns = Columns::new(total);
    columns.plain::<UInt64Type>("flow", |flow: &Flow| u64::from(flow.number));
    columns.plain::<UInt32Type>("point", |flow| flow.key.point());
    columns.plain::<UInt8Type>("protocol", |flow| flow.key.protocol());
    columns.plain::<UInt16Type>("src_port", |flow| flow.endpoints()[0].1);
    columns.plain::<UInt16Type>("dst_port", |flow| flow.endpoints()[1].1);
    columns.named("oriented_by", |flow| flow.oriented_by.name());
    columns.flag("open", move |flow| look.open && !flow.history.closed());
    extent(&mut columns);
    columns.named("state", Flow::state);
    columns.text("history", |flow| Some(flow.history.text()));
    columns.nullable::<Int64Type>("handshake_rtt_ns", |flow| known(flow.handshake_rtt_ns));
    columns.nullable::<Int64Type>("synack_ns", |flow| {
        let syn = flow.half(0).opening.as_ref()?;
        (flow.syn_ack_ns != NEVER).then(|| flow.syn_ack_ns - syn.time_ns)
    });
    surroundings(&mut columns, look.community_id);
    columns
}

fn extent(columns: &mut Columns<'static, Flow>) {
    columns.plain::<Int64Type>("first_ns", |flow| {
        [0, 1].into_iter().filter_map(|half| known(flow.half(half).first_ns)).min().unwrap_or(NEVER)
    });
    columns.plain::<Int64Type>("last_ns", |flow| flow.half(0).last_ns.max(flow.half(1).last_ns));
    columns.plain::<UInt32Type>("first_capture", |flow| flow.first.capture);
    columns.plain::<UInt64Type>("first_frame", |flow| flow.first.frame);
    columns.plain::<UInt64Type>("first_offset", |flow| flow.first.offset);
    columns.plain::<UInt32Type>("last_capture", |flow| flow.last.capture);
    columns.plain::<UInt64Type>("last_frame", |flow| flow.last.frame);
    columns.plain::<UInt64Type>("last_offset", |flow| flow.last.offset);
}

fn surroundings(columns: &mut Columns<'static, Flow>, with_community_id: bool) {
    columns.text("tunnel", |flow| match flow.tunnel {
        Tunnel::None => None,
        Tunnel::Vxlan => Some("vxlan"),
        Tunnel::Geneve => Some("geneve"),
        Tunnel::Gre => Some("gre"),
        Tunnel::IpIp => Some("ipip"),
        Tunnel::Gtp => Some("gtp-u"),
        Tunnel::Erspan => Some("erspan"),
        Tunnel::Ipv6InIp => Some("6in4"),
    });
    columns.nullable::<UInt32Type>("tunnel_id", |flow| (flow.tunnel != Tunnel::None).then_some(flow.tunnel_id));
    columns.nullable::<UInt16Type>("vlan", |flow| (flow.vlan != NO_VLAN).then_some(flow.vlan));
    columns.plain::<UInt32Type>("interface", |flow| flow.interface);
    columns.plain::<UInt32Type>("truncated", |flow| flow.half(0).truncated + flow.half(1).truncated);
    columns.plain::<UInt32Type>("icmp_errors", |flow| flow.icmp_errors);
    if with_community_id {
        columns.made_text("community_id", community_id);
    } else {
        columns.no_text("community_id");
    }
}
