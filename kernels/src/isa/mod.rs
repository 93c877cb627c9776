//! Helpers shared by the variants of one instruction set; `v128` by those of several.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64_dotprod;
#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64_i8mm;
#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64_neon;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod matvec;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod product;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod v128;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod wasm32_simd128;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_amxint8;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_avx512vbmi;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_avx512vnni;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_avxvnni;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_sse41;
