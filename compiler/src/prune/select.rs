//! Channels of constants picked, and the graph that they leave.

use super::groups::{Groups, Place};
use crate::ir::{Constant, Def, Graph, Tensor, verify};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Indices along a dimension of `size` that hold these channels, in this order.
pub fn indices(place: Place, channels: usize, size: usize, order: &[usize]) -> Vec<usize> {
    let block = channels * place.inner;
    (0..size / block)
        .flat_map(|outer| {
            order.iter().flat_map(move |&channel| {
                let first = outer * block + channel * place.inner;
                first..first + place.inner
            })
        })
        .collect()
}

/// The slices of a tensor at these indices of a dimension.
pub fn pick(tensor: &Tensor, axis: usize, indices: &[usize]) -> Tensor {
    let mut shape = tensor.shape.clone();
    let below: usize = shape[axis + 1..].iter().product();
    let above: usize = shape[..axis].iter().product();
    let size = shape[axis];
    shape[axis] = indices.len();
    let positions = (0..above).flat_map(|a| {
        indices
            .iter()
            .flat_map(move |&i| (0..below).map(move |b| (a * size + i) * below + b))
    });
    Tensor::new(shape, tensor.data.pick(positions))
}

/// Gives a node's operand its own constant.
pub fn replace(graph: &mut Graph, node: usize, operand: usize, tensor: Tensor) {
    let old = graph.nodes[node].inputs.get(operand).copied().flatten();
    let name = match old {
        Some(id) => graph.value(id).name.clone(),
        None => format!("{}.bias", graph.nodes[node].name),
    };
    let id = graph.add_constant(&name, Constant::Dense(tensor));
    let inputs = &mut graph.nodes[node].inputs;
    if inputs.len() <= operand {
        inputs.resize(operand + 1, None);
    }
    inputs[operand] = Some(id);
}

/// A node's constant operand.
pub fn constant(graph: &Graph, node: usize, operand: usize) -> Option<Arc<Constant>> {
    let id = graph.nodes[node].inputs.get(operand).copied().flatten()?;
    graph.constant(id).cloned()
}

/// Keeps of each group the channels that `orders` lists, in that order; groups that it does
/// not name stay. The graph is that of `groups`, which no longer describe it.
///
/// # Errors
/// None that groups found in the graph can make: the verifier's.
pub fn select(
    graph: &mut Graph,
    groups: &Groups,
    orders: &BTreeMap<usize, Vec<usize>>,
) -> Result<()> {
    for (&g, order) in orders {
        let group = &groups.all[g];
        let row = Place {
            group: g,
            axis: 0,
            inner: 1,
        };
        let mut cut = |node: usize, operand: usize, place: Place| {
            let Some(old) = constant(graph, node, operand) else {
                return;
            };
            if let Constant::Dense(tensor) = &*old {
                let size = tensor.shape[place.axis];
                let kept = indices(place, group.channels, size, order);
                replace(graph, node, operand, pick(tensor, place.axis, &kept));
            }
        };
        for &n in &group.makers {
            cut(n, 1, row);
            cut(n, 2, row);
        }
        for &(n, operand, place) in &group.constants {
            cut(n, operand, place);
        }
    }
    for (&g, order) in orders {
        let group = &groups.all[g];
        for &n in &group.readers {
            let (Some(x), Some(old)) = (graph.nodes[n].inputs[0], constant(graph, n, 1)) else {
                continue;
            };
            if let (Some(place), Constant::Dense(w)) = (groups.places[x.0], &*old) {
                let axis = w.shape.len() - 1;
                let kept = indices(place, group.channels, w.shape[axis], order);
                replace(graph, n, 1, pick(w, axis, &kept));
            }
        }
    }
    // Constants were added behind the values that have places.
    for (id, place) in groups.places.iter().enumerate() {
        let Some(place) = place else { continue };
        if let (Some(order), Def::Node) = (orders.get(&place.group), &graph.values[id].def) {
            let size = &mut graph.values[id].ty.shape[place.axis];
            *size = *size / groups.all[place.group].channels * order.len();
        }
    }
    verify::verify(graph).context("after removing channels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_picked_along_any_dimension() {
        let t = Tensor::f32(vec![2, 3, 2], (0..12).map(|v| v as f32).collect());
        let picked = pick(&t, 1, &[2, 0]);
        assert_eq!(picked.shape, [2, 2, 2]);
        let expected = [4.0, 5.0, 0.0, 1.0, 10.0, 11.0, 6.0, 7.0];
        assert_eq!(picked.as_f32().unwrap(), expected);
        let place = Place {
            group: 0,
            axis: 0,
            inner: 2,
        };
        assert_eq!(indices(place, 3, 12, &[2, 1]), [4, 5, 2, 3, 10, 11, 8, 9]);
    }
}
