//! Convolution over NHWC images, forward and transposed, any stride, dilation,
//! padding and group count (depthwise has its own family).

use crate::gemm::{self, GemmShape};
use crate::product::{self, Kernel, Problem, Rows, Size};
use crate::{Caps, Codec, Ctx, DType, Epilogue, Invalid, Matrix, Variant, View, ViewMut, Weights};

#[cfg(target_arch = "aarch64")]
mod aarch64_dotprod;
#[cfg(target_arch = "aarch64")]
mod aarch64_i8mm;
#[cfg(target_arch = "aarch64")]
mod aarch64_neon;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32_simd128;
#[cfg(target_arch = "x86_64")]
mod x86_amxint8;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vbmi;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vnni;
#[cfg(target_arch = "x86_64")]
mod x86_avxvnni;
#[cfg(target_arch = "x86_64")]
mod x86_sse41;

#[cfg(test)]
mod tests;

/// Every implementation, best first.
pub(crate) static VARIANTS: &[Variant<Kernel<ImageRows>>] = &[
    #[cfg(target_arch = "x86_64")]
    x86_amxint8::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx512vbmi::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx512vnni::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avxvnni::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx2::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_sse41::VARIANT,
    #[cfg(target_arch = "aarch64")]
    aarch64_i8mm::VARIANT,
    #[cfg(target_arch = "aarch64")]
    aarch64_dotprod::VARIANT,
    #[cfg(target_arch = "aarch64")]
    aarch64_neon::VARIANT,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    wasm32_simd128::VARIANT,
    scalar::VARIANT,
];

/// Geometry of a two-dimensional convolution; also that of pools and depthwise
/// convolutions. `[h, w]` order throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    /// Images.
    pub batch: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Input channels over all groups.
    pub in_channels: usize,
    /// Output height and width.
    pub output: [usize; 2],
    /// Output channels over all groups.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Steps between output positions (of the input, for transposed).
    pub stride: [usize; 2],
    /// Distance between kernel taps.
    pub dilation: [usize; 2],
    /// Padding at the top and left; what lies beyond the input elsewhere is zero as well.
    pub pad: [usize; 2],
    /// Number of groups.
    pub groups: usize,
    /// Whether this is ONNX's ConvTranspose: output position `i * stride + k * dilation - pad`.
    pub transposed: bool,
}

impl Conv2dShape {
    /// Refuses geometry with which [`source`](Self::source) or
    /// [`matrix`](Self::matrix) would overflow or divide by zero: strides,
    /// dilations, kernel and groups are at least 1, groups divide both channel
    /// counts, and neither the number of taps nor any coordinate leaves `isize`.
    pub fn check(&self) -> Result<(), Invalid> {
        const LIMIT: usize = isize::MAX as usize;
        let reach = |axis: usize| {
            let window = self.kernel[axis].checked_mul(self.dilation[axis])?;
            self.output[axis]
                .checked_mul(self.stride[axis])?
                .checked_add(window)?
                .checked_add(self.pad[axis])
        };
        let taps = self.kernel[0].checked_mul(self.kernel[1]);
        let fits = [self.stride, self.dilation, self.kernel]
            .iter()
            .all(|pair| pair.iter().all(|n| (1..=LIMIT).contains(n)))
            && taps.is_some_and(|taps| taps <= LIMIT)
            && (0..2).all(|axis| self.input[axis] <= LIMIT)
            && (0..2).all(|axis| reach(axis).is_some_and(|n| n <= LIMIT))
            && self.groups > 0
            && self.in_channels.is_multiple_of(self.groups)
            && self.out_channels.is_multiple_of(self.groups);
        if fits { Ok(()) } else { Err(Invalid) }
    }

    /// Elements of the input; `None` where that overflows.
    pub fn input_len(&self) -> Option<usize> {
        let [height, width] = self.input;
        let rows = self.batch.checked_mul(height)?.checked_mul(width)?;
        rows.checked_mul(self.in_channels)
    }

    /// Output positions over the whole batch; `None` where that overflows.
    pub(crate) fn output_rows(&self) -> Option<usize> {
        let [height, width] = self.output;
        self.batch.checked_mul(height)?.checked_mul(width)
    }

    /// The input coordinate that kernel position `k` of output coordinate `o`
    /// reads along `axis` (0 height, 1 width); `None` outside of the input. The
    /// shape has passed [`check`](Self::check), `o` and `k` lie in range.
    #[inline(always)]
    pub fn source(&self, axis: usize, o: usize, k: usize) -> Option<usize> {
        let (o, k, pad) = (o as isize, k as isize, self.pad[axis] as isize);
        let (stride, dilation) = (self.stride[axis] as isize, self.dilation[axis] as isize);
        let i = if self.transposed {
            let t = o + pad - k * dilation;
            if t % stride != 0 {
                return None;
            }
            t / stride
        } else {
            o * stride + k * dilation - pad
        };
        (0..self.input[axis] as isize)
            .contains(&i)
            .then_some(i as usize)
    }

    /// The matrix product that this is where the kernel has one tap and output
    /// positions are the input's.
    fn as_product(&self) -> Option<GemmShape> {
        let one = |pair: [usize; 2]| pair == [1, 1];
        let same = one(self.kernel)
            && one(self.stride)
            && self.pad == [0, 0]
            && self.groups == 1
            && self.input == self.output;
        let m = self.output_rows().filter(|_| same)?;
        Some(GemmShape {
            m,
            n: self.out_channels,
            k: self.in_channels,
        })
    }

    /// Shape of the weight array.
    pub fn matrix(&self) -> Matrix {
        Matrix {
            groups: self.groups,
            outputs: self.out_channels / self.groups,
            taps: self.kernel[0] * self.kernel[1],
            channels: self.in_channels / self.groups,
        }
    }
}

/// Input rows under a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageRows {
    shape: Conv2dShape,
}

impl ImageRows {
    /// Of a shape that [`Conv2dShape::check`] accepts.
    pub(crate) fn new(shape: &Conv2dShape) -> Result<Self, Invalid> {
        shape.check().map(|()| ImageRows { shape: *shape })
    }

    /// The shape.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn shape(&self) -> &Conv2dShape {
        &self.shape
    }
}

impl Rows for ImageRows {
    fn shape(&self, _: usize) -> Conv2dShape {
        self.shape
    }

    fn kernel(&self) -> [usize; 2] {
        self.shape.kernel
    }

    #[inline(always)]
    fn position(&self, row: usize) -> [usize; 3] {
        let [height, width] = self.shape.output;
        [row / width / height, row / width % height, row % width]
    }

    #[inline(always)]
    fn after(&self, [image, y, x]: [usize; 3]) -> [usize; 3] {
        let [height, width] = self.shape.output;
        if x + 1 < width {
            [image, y, x + 1]
        } else if y + 1 < height {
            [image, y + 1, 0]
        } else {
            [image + 1, 0, 0]
        }
    }

    #[inline(always)]
    fn interior(&self, [image, y, x]: [usize; 3]) -> Option<usize> {
        let s = &self.shape;
        if s.transposed {
            return None;
        }
        let start = |axis: usize, o: usize| {
            let start = (o * s.stride[axis]).checked_sub(s.pad[axis])?;
            let last = start + (s.kernel[axis] - 1) * s.dilation[axis];
            (last < s.input[axis]).then_some(start)
        };
        let (y, x) = (start(0, y)?, start(1, x)?);
        Some(((image * s.input[0] + y) * s.input[1] + x) * s.in_channels)
    }

    #[inline(always)]
    fn offset(&self, y: usize, x: usize) -> usize {
        let s = &self.shape;
        (y * s.dilation[0] * s.input[1] + x * s.dilation[1]) * s.in_channels
    }

    #[inline(always)]
    fn line(&self, [image, y, _]: [usize; 3], kernel_y: usize) -> Option<usize> {
        let s = &self.shape;
        let y = s.source(0, y, kernel_y)?;
        Some((image * s.input[0] + y) * s.input[1] * s.in_channels)
    }

    #[inline(always)]
    fn source(&self, line: usize, [.., x]: [usize; 3], kernel_x: usize) -> Option<usize> {
        let x = self.shape.source(1, x, kernel_x)?;
        Some(line + x * self.shape.in_channels)
    }
}

/// Scratch bytes that [`run`] needs; 0 for a shape that it refuses.
pub fn scratch(caps: Caps, threads: usize, shape: &Conv2dShape, x: DType, codec: Codec) -> usize {
    if let Some(shape) = shape.as_product() {
        return gemm::scratch(caps, threads, &shape, x, codec);
    }
    size(shape, x, codec).map_or(0, |size| {
        product::scratch(VARIANTS, caps, threads, &size, &ImageRows { shape: *shape })
    })
}

fn size(shape: &Conv2dShape, x: DType, codec: Codec) -> Result<Size, Invalid> {
    shape.check()?;
    let rows = shape.output_rows().ok_or(Invalid)?;
    Size::new(shape.matrix(), rows, x, codec)
}

/// Computes `y = epilogue(conv(x, w))`.
///
/// - `x`: F32, I16 or I8, `[batch, input, in_channels]`; integer inputs need a
///   ternary codec and at most [`max_k`](crate::max_k) products a sum;
/// - `y`: F32, I16 or I8, `[batch, output, out_channels]`.
///
/// Channel counts are at least 1.
pub fn run(
    ctx: &mut Ctx<'_>,
    shape: &Conv2dShape,
    x: View<'_>,
    w: &Weights<'_>,
    epilogue: &Epilogue<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    if let Some(shape) = shape.as_product() {
        return gemm::run(ctx, &shape, x, w, epilogue, y);
    }
    let size = size(shape, x.dtype(), w.codec)?;
    if shape.input_len() != Some(x.len()) {
        return Err(Invalid);
    }
    let problem = Problem::new(size, ImageRows::new(shape)?, x, w, epilogue, y)?;
    product::run(VARIANTS, ctx, &problem)
}
