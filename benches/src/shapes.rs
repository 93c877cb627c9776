//! Layer shapes of real networks, read from `benches/shapes/*.toml`.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;

/// The layers of one network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Name.
    pub name: String,
    /// Where the shapes come from.
    pub source: String,
    /// Whether the network is so large that a layer's weights come from memory
    /// each time.
    #[serde(default)]
    pub from_memory: bool,
    /// Layers that differ from each other.
    pub layer: Vec<Layer>,
}

/// What kind of product a layer is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Convolution over all channels.
    Conv2d,
    /// Depthwise convolution.
    Depthwise,
    /// Matrix product.
    Gemm,
}

/// One layer, batch 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Kind of product.
    pub kind: Kind,
    /// Input height and width (rows for a matrix product).
    pub size: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Kernel height and width.
    #[serde(default = "one")]
    pub kernel: usize,
    /// Stride.
    #[serde(default = "one")]
    pub stride: usize,
    /// How often the network has this shape.
    #[serde(default = "one")]
    pub times: usize,
}

fn one() -> usize {
    1
}

impl Layer {
    /// Output height and width, with "same" padding for odd kernels.
    pub fn out_size(&self) -> usize {
        match self.kind {
            Kind::Gemm => self.size,
            _ => (self.size + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1,
        }
    }

    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        let taps = self.kernel * self.kernel;
        let n = match self.kind {
            Kind::Conv2d => self.out_size().pow(2) * self.outputs * self.inputs * taps,
            Kind::Depthwise => self.out_size().pow(2) * self.outputs * taps,
            Kind::Gemm => self.size * self.outputs * self.inputs,
        };
        n as u64
    }

    /// A short name such as `3x3s2_56x56_64_128`.
    pub fn label(&self) -> String {
        match self.kind {
            Kind::Gemm => format!("gemm_{}x{}x{}", self.size, self.outputs, self.inputs),
            kind => format!(
                "{}{k}x{k}s{}_{s}x{s}_{}_{}",
                if kind == Kind::Depthwise { "dw" } else { "" },
                self.stride,
                self.inputs,
                self.outputs,
                k = self.kernel,
                s = self.size
            ),
        }
    }
}

/// The networks that are built in, by name.
pub const NETWORKS: [(&str, &str); 5] = [
    ("resnet18_32", include_str!("../shapes/resnet18_32.toml")),
    ("resnet18_224", include_str!("../shapes/resnet18_224.toml")),
    ("mobilenet_v2", include_str!("../shapes/mobilenet_v2.toml")),
    (
        "efficientnet_lite0",
        include_str!("../shapes/efficientnet_lite0.toml"),
    ),
    ("vit_tiny", include_str!("../shapes/vit_tiny.toml")),
];

/// One of [`NETWORKS`].
///
/// # Errors
/// Another name.
pub fn network(name: &str) -> Result<Network> {
    let names = || NETWORKS.map(|(name, _)| name).join(", ");
    let (_, text) = NETWORKS
        .into_iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("no network {name:?}; there are {}", names()))?;
    Ok(toml::from_str(text)?)
}

/// The matrix-vector products, whose weights come from memory.
///
/// # Errors
/// None: a test reads the same file.
pub fn matvec() -> Result<Network> {
    Ok(toml::from_str(include_str!("../shapes/matvec.toml"))?)
}

/// All networks of a directory, by file name.
pub fn load(dir: &Path) -> Result<Vec<Network>> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            toml::from_str(&text).with_context(|| path.display().to_string())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published multiply-accumulate counts (torchvision's and timm's model
    /// tables, to three digits) follow from the listed layers.
    #[test]
    fn the_layers_add_up_to_the_networks() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("shapes");
        let expected = [
            ("resnet18_32", 0.556),
            ("resnet18_224", 1.814),
            ("mobilenet_v2", 0.301),
            ("efficientnet_lite0", 0.385),
            // The model's 1.254 without 2 * 12 * 197 * 197 * 192 of attention.
            ("vit_tiny", 1.075),
            // 4096 * 4096 + 11008 * 4096, no whole network.
            ("matvec", 0.0619),
        ];
        let networks = load(&dir).unwrap();
        assert_eq!(networks.len(), expected.len());
        for (name, gmac) in expected {
            let network = networks.iter().find(|n| n.name == name).unwrap();
            let sum: u64 = network
                .layer
                .iter()
                .map(|l| l.macs() * l.times as u64)
                .sum();
            assert!(
                (sum as f64 / 1e9 - gmac).abs() < 0.006 * gmac,
                "{name}: {sum}"
            );
        }
    }
}
