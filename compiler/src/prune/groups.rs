//! Which channels belong together: those that one layer makes, everything between passes
//! on, additions tie to those of other layers, and other layers read.
//!
//! A value's [`Place`] says where in it the channels of a group are. What an op does to them
//! is a short list; through any other op, channels count as needed: its groups are fixed.

use crate::ir::{Constant, Graph, Node, Op, ValueId};
use crate::ops::has_weights;
use std::collections::HashMap;

/// Where a value keeps the channels of a group: index `i` along `axis` is of channel
/// `i / inner % channels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The group.
    pub group: usize,
    /// The dimension.
    pub axis: usize,
    /// Consecutive indices of one channel.
    pub inner: usize,
}

/// Channels that can only be removed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub channels: usize,
    /// Whether all are needed.
    pub fixed: bool,
    /// Nodes whose weights' outputs they are; depthwise ones too.
    pub makers: Vec<usize>,
    /// Nodes whose weights' inputs they are.
    pub readers: Vec<usize>,
    /// Constants that hold a number a channel: node, operand and place in the constant.
    pub constants: Vec<(usize, usize, Place)>,
}

/// The groups of a graph. Groups without channels were tied to another.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// The groups.
    pub all: Vec<Group>,
    /// Place of each value that has one.
    pub places: Vec<Option<Place>>,
    /// What each group was tied to; itself where it was not.
    tied: Vec<usize>,
}

impl Groups {
    /// Looks at a graph after the passes.
    pub fn of(graph: &Graph) -> Groups {
        let mut groups = Groups {
            places: vec![None; graph.values.len()],
            ..Groups::default()
        };
        let mut readers: HashMap<ValueId, usize> = HashMap::new();
        for id in graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten()) {
            *readers.entry(*id).or_default() += 1;
        }
        for (n, node) in graph.nodes.iter().enumerate() {
            let out = groups.passed(graph, n, node, &readers);
            if let (Some(place), Some(id)) = (out, node.outputs.first()) {
                groups.places[id.0] = Some(place);
            }
        }
        for (_, id) in &graph.outputs {
            groups.fix(groups.places[id.0]);
        }
        for place in groups.places.iter_mut().flatten() {
            place.group = root(&groups.tied, place.group);
        }
        groups
    }

    fn fix(&mut self, place: Option<Place>) {
        if let Some(place) = place {
            let group = root(&self.tied, place.group);
            self.all[group].fixed = true;
        }
    }

    /// Every place of a node's operands is fixed, and nothing is known of its result.
    fn stop(&mut self, node: &Node) -> Option<Place> {
        for id in node.inputs.iter().flatten() {
            self.fix(self.places[id.0]);
        }
        None
    }

    fn group(&mut self, place: Place) -> &mut Group {
        let group = root(&self.tied, place.group);
        &mut self.all[group]
    }

    fn channels(&self, place: Place) -> usize {
        self.all[root(&self.tied, place.group)].channels
    }

    /// Two places hold the same channels, or both are fixed.
    fn tie(&mut self, a: Place, b: Place) {
        let (x, y) = (root(&self.tied, a.group), root(&self.tied, b.group));
        if a.inner != b.inner || self.all[x].channels != self.all[y].channels {
            self.all[x].fixed = true;
            self.all[y].fixed = true;
        } else if x != y {
            let other = std::mem::take(&mut self.all[y]);
            let group = &mut self.all[x];
            group.fixed |= other.fixed;
            group.makers.extend(other.makers);
            group.readers.extend(other.readers);
            group.constants.extend(other.constants);
            self.tied[y] = x;
        }
    }

    /// Place of a node's result.
    fn passed(
        &mut self,
        graph: &Graph,
        n: usize,
        node: &Node,
        readers: &HashMap<ValueId, usize>,
    ) -> Option<Place> {
        let operand = |i: usize| node.inputs.get(i).copied().flatten();
        let x = operand(0)?;
        let (shape, place) = (&graph.ty(x).shape, self.places[x.0]);
        let out = &graph.ty(*node.outputs.first()?).shape;
        match &node.op {
            op if has_weights(op) => self.layer(graph, n, node, readers),
            Op::UnaryOp(_) | Op::MaxPool(_) | Op::AveragePool(_) | Op::Resize(_) => {
                // Pools and resizing leave the last dimension alone.
                let kept = place.filter(|p| shape[p.axis] == out[p.axis]);
                if kept.is_none() {
                    self.stop(node)
                } else {
                    kept
                }
            }
            Op::BinaryOp(_) => self.binary(graph, n, node),
            Op::Reduce(op) => {
                let place = place?;
                let reduced = |axis: usize| op.axes >> axis & 1 == 1;
                if reduced(place.axis) {
                    return self.stop(node);
                }
                let before = (0..place.axis).filter(|a| reduced(*a)).count();
                let gone = if out.len() == shape.len() { 0 } else { before };
                Some(Place {
                    axis: place.axis - gone,
                    ..place
                })
            }
            Op::Transpose(op) => {
                let place = place?;
                let axis = op.perm[..out.len()]
                    .iter()
                    .position(|&p| p as usize == place.axis)?;
                Some(Place { axis, ..place })
            }
            Op::Reshape(_) => {
                let place = place?;
                let moved = reshaped(place, self.channels(place), shape, out);
                if moved.is_none() {
                    self.stop(node)
                } else {
                    moved
                }
            }
            Op::Pad(op) => {
                let place = place?;
                if op.before[place.axis] == 0 && shape[place.axis] == out[place.axis] {
                    Some(place)
                } else {
                    self.stop(node)
                }
            }
            _ => self.stop(node),
        }
    }

    /// A layer with weights: reads the channels of one group and makes those of another.
    fn layer(
        &mut self,
        graph: &Graph,
        n: usize,
        node: &Node,
        readers: &HashMap<ValueId, usize>,
    ) -> Option<Place> {
        let operand = |i: usize| node.inputs.get(i).copied().flatten();
        let (x, w) = (operand(0)?, operand(1)?);
        let dense =
            |id: ValueId| matches!(graph.constant(id).map(|c| &**c), Some(Constant::Dense(_)));
        let own = readers.get(&w) == Some(&1) && dense(w) && operand(2).is_none_or(dense);
        let weights = &graph.ty(w).shape;
        let last = graph.ty(x).shape.len() - 1;
        let place = self.places[x.0];
        let grouped = matches!(&node.op, Op::Conv2d(op) if op.group != 1);
        if !own || grouped || place.is_some_and(|p| p.axis != last) {
            return self.stop(node);
        }
        let made = if matches!(node.op, Op::DepthwiseConv2d(_)) {
            let Some(place) = place.filter(|p| p.inner == 1 && self.channels(*p) == weights[0])
            else {
                return self.stop(node);
            };
            place
        } else {
            if let Some(place) = place {
                self.group(place).readers.push(n);
            }
            self.tied.push(self.all.len());
            self.all.push(Group {
                channels: weights[0],
                ..Group::default()
            });
            Place {
                group: self.all.len() - 1,
                axis: graph.ty(node.outputs[0]).shape.len() - 1,
                inner: 1,
            }
        };
        self.group(made).makers.push(n);
        if let Some(residual) = operand(3) {
            match self.places[residual.0] {
                Some(other) if other.axis == made.axis => self.tie(made, other),
                other => {
                    self.fix(other);
                    self.fix(Some(made));
                }
            }
        }
        Some(made)
    }

    fn binary(&mut self, graph: &Graph, n: usize, node: &Node) -> Option<Place> {
        let operands: Vec<(usize, ValueId)> = node
            .inputs
            .iter()
            .enumerate()
            .filter_map(|(i, id)| Some((i, (*id)?)))
            .collect();
        let rank = graph.ty(node.outputs[0]).shape.len();
        // As the result counts its dimensions.
        let aligned = |groups: &Groups, id: ValueId| {
            let place = groups.places[id.0]?;
            let missing = rank - graph.ty(id).shape.len();
            Some(Place {
                axis: place.axis + missing,
                ..place
            })
        };
        let place = operands.iter().find_map(|(_, id)| aligned(self, *id))?;
        for &(i, id) in &operands {
            let shape = &graph.ty(id).shape;
            let axis = (place.axis + shape.len()).checked_sub(rank);
            let size = axis.map_or(1, |a| shape[a]);
            match aligned(self, id) {
                Some(other) if other.axis == place.axis && size > 1 => self.tie(place, other),
                Some(_) => return self.stop(node),
                // The same number for all channels.
                None if size == 1 => {}
                None => match (graph.constant(id).map(|c| &**c), axis) {
                    (Some(Constant::Dense(_)), Some(axis)) => {
                        let at = Place { axis, ..place };
                        self.group(place).constants.push((n, i, at));
                    }
                    _ => return self.stop(node),
                },
            }
        }
        Some(place)
    }
}

/// The group that a group was tied to in the end.
fn root(tied: &[usize], mut group: usize) -> usize {
    while tied[group] != group {
        group = tied[group];
    }
    group
}

/// Where a reshape leaves channels, if they stay along one dimension.
fn reshaped(place: Place, channels: usize, from: &[usize], to: &[usize]) -> Option<Place> {
    let below = |shape: &[usize], axis: usize| shape[axis + 1..].iter().product::<usize>();
    // Elements of one channel in a row, in memory.
    let run = place.inner * below(from, place.axis);
    let fits = |axis: &usize| {
        let stride = below(to, *axis);
        run.is_multiple_of(stride) && (stride * to[*axis]).is_multiple_of(run * channels)
    };
    let axis = (0..to.len()).find(fits)?;
    Some(Place {
        axis,
        inner: run / below(to, axis),
        ..place
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshapes_move_channels() {
        let place = |axis, inner| Place {
            group: 0,
            axis,
            inner,
        };
        // NHWC flattened, NCHW flattened, a pooled image, and channels that are split.
        let nhwc = [1, 2, 2, 6];
        assert_eq!(reshaped(place(3, 1), 6, &nhwc, &[1, 24]), Some(place(1, 1)));
        let nchw = [1, 6, 2, 2];
        assert_eq!(reshaped(place(1, 1), 6, &nchw, &[1, 24]), Some(place(1, 4)));
        assert_eq!(reshaped(place(1, 4), 6, &[1, 24], &nchw), Some(place(1, 1)));
        assert_eq!(
            reshaped(place(3, 1), 6, &[1, 1, 1, 6], &[1, 6]),
            Some(place(1, 1))
        );
        assert_eq!(reshaped(place(1, 1), 6, &[1, 6], &[1, 2, 3]), None);
    }
}
