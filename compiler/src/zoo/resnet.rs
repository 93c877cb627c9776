//! ResNets (He, Zhang, Ren and Sun 2015, arXiv:1512.03385) of basic blocks.

use super::Config;
use tern_network::{Builder, Error, Network, NodeId};

/// Channels and number of blocks of each stage.
type Stages<'s> = &'s [(usize, usize)];

pub(super) fn resnet8(name: &str, config: &Config) -> Result<Network, Error> {
    small(name, config, &[(16, 1), (32, 1), (64, 1)])
}

pub(super) fn resnet20(name: &str, config: &Config) -> Result<Network, Error> {
    small(name, config, &[(16, 3), (32, 3), (64, 3)])
}

pub(super) fn resnet18(name: &str, config: &Config) -> Result<Network, Error> {
    small(name, config, &[(64, 2), (128, 2), (256, 2), (512, 2)])
}

pub(super) fn resnet18_imagenet(name: &str, config: &Config) -> Result<Network, Error> {
    let (mut net, channels) = begin(name, config);
    let x = net.input();
    let x = net.conv("conv1", x, channels(64), 7, 2);
    let x = net.batch_norm("bn1", x);
    let x = net.relu("relu", x);
    let x = net.max_pool("maxpool", x, 3, 2, 1);
    finish(net, x, config, &[(64, 2), (128, 2), (256, 2), (512, 2)])
}

/// With a stem that keeps the size of small images.
fn small(name: &str, config: &Config, stages: Stages) -> Result<Network, Error> {
    let (mut net, channels) = begin(name, config);
    let x = net.input();
    let x = net.conv("conv1", x, channels(stages[0].0), 3, 1);
    let x = net.batch_norm("bn1", x);
    let x = net.relu("relu", x);
    finish(net, x, config, stages)
}

fn begin(name: &str, config: &Config) -> (Builder, impl Fn(usize) -> usize + use<>) {
    let size = config.image_size;
    let width = config.width;
    let channels = move |n: usize| ((n as f64 * width).round() as usize).max(1);
    (Builder::new(name, [config.channels, size, size]), channels)
}

fn finish(
    mut net: Builder,
    mut x: NodeId,
    config: &Config,
    stages: Stages,
) -> Result<Network, Error> {
    for (s, (channels, blocks)) in stages.iter().enumerate() {
        let channels = ((*channels as f64 * config.width).round() as usize).max(1);
        for b in 0..*blocks {
            let stride = if s > 0 && b == 0 { 2 } else { 1 };
            x = block(
                &mut net,
                &format!("layer{}.{b}", s + 1),
                x,
                channels,
                stride,
            );
        }
    }
    let x = net.global_average_pool("avgpool", x);
    let x = net.flatten("flatten", x);
    net.linear("fc", x, config.classes);
    net.finish()
}

fn block(net: &mut Builder, name: &str, x: NodeId, channels: usize, stride: usize) -> NodeId {
    let part = |part: &str| format!("{name}.{part}");
    let y = net.conv(&part("conv1"), x, channels, 3, stride);
    let y = net.batch_norm(&part("bn1"), y);
    let y = net.relu(&part("relu1"), y);
    let y = net.conv(&part("conv2"), y, channels, 3, 1);
    let y = net.batch_norm(&part("bn2"), y);
    let shortcut = if stride > 1 || net.channels(x) != channels {
        let x = net.conv(&part("downsample.0"), x, channels, 1, stride);
        net.batch_norm(&part("downsample.1"), x)
    } else {
        x
    };
    let y = net.add(&part("add"), y, shortcut);
    net.relu(&part("relu2"), y)
}
