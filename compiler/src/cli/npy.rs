//! NumPy files: reading what a model's input takes, writing what an output gives.

use anyhow::{Context, Result, bail};
use npyz::{Order, WriterBuilder};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use ternrt::DType;

/// Reads a `.npy` file into little-endian bytes, row-major; dtype and shape must be exactly these.
pub fn read(path: &Path, name: &str, dtype: DType, shape: &[usize]) -> Result<Vec<u8>> {
    let file = File::open(path)
        .with_context(|| format!("input {name:?}: cannot open {}", path.display()))?;
    let npy = npyz::NpyFile::new(BufReader::new(file)).with_context(|| {
        format!(
            "input {name:?}: {} is not a NumPy .npy file",
            path.display()
        )
    })?;
    let found: Vec<usize> = npy.shape().iter().map(|&d| d as usize).collect();
    if found != shape {
        bail!(
            "input {name:?}: {} has shape {found:?}, the model takes {shape:?}",
            path.display()
        );
    }
    if npy.order() == Order::Fortran && shape.len() > 1 {
        bail!(
            "input {name:?}: {} is in Fortran order; save it with numpy.ascontiguousarray",
            path.display()
        );
    }
    let described = npy.dtype().descr();
    let wanted = descr(dtype);
    if described.trim_matches('\'') != wanted {
        bail!(
            "input {name:?}: {} has dtype {described}, the model takes '{wanted}' ({}); convert it with astype",
            path.display(),
            dtype.name()
        );
    }
    fn bytes<T: npyz::Deserialize, const N: usize>(
        npy: npyz::NpyFile<BufReader<File>>,
        to: fn(T) -> [u8; N],
    ) -> Result<Vec<u8>> {
        let values = npy.into_vec::<T>()?;
        Ok(values.into_iter().flat_map(to).collect())
    }
    let read = match dtype {
        DType::F32 => bytes(npy, f32::to_le_bytes),
        DType::F16 => bytes(npy, half::f16::to_le_bytes),
        DType::I8 => bytes(npy, i8::to_le_bytes),
        DType::U8 => bytes(npy, u8::to_le_bytes),
        DType::I16 => bytes(npy, i16::to_le_bytes),
        DType::I32 => bytes(npy, i32::to_le_bytes),
        DType::I64 => bytes(npy, i64::to_le_bytes),
        DType::Bool => bytes(npy, |b: bool| [b as u8]),
    };
    read.with_context(|| format!("input {name:?}: {} is damaged or cut off", path.display()))
}

/// Writes little-endian bytes as a `.npy` file, under a temporary name first.
pub fn write(path: &Path, dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<()> {
    fn put<T: npyz::AutoSerialize, W: Write, const N: usize>(
        out: W,
        shape: &[u64],
        bytes: &[u8],
        from: fn([u8; N]) -> T,
    ) -> Result<()> {
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(shape)
            .writer(out)
            .begin_nd()?;
        for b in bytes.chunks_exact(N) {
            let mut a = [0u8; N];
            a.copy_from_slice(b);
            writer.push(&from(a))?;
        }
        Ok(writer.finish()?)
    }
    let mut out = Vec::with_capacity(bytes.len() + 128);
    let dims: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
    {
        let mut buffer = BufWriter::new(&mut out);
        match dtype {
            DType::F32 => put(&mut buffer, &dims, bytes, f32::from_le_bytes),
            DType::F16 => put(&mut buffer, &dims, bytes, half::f16::from_le_bytes),
            DType::I8 => put(&mut buffer, &dims, bytes, i8::from_le_bytes),
            DType::U8 => put(&mut buffer, &dims, bytes, u8::from_le_bytes),
            DType::I16 => put(&mut buffer, &dims, bytes, i16::from_le_bytes),
            DType::I32 => put(&mut buffer, &dims, bytes, i32::from_le_bytes),
            DType::I64 => put(&mut buffer, &dims, bytes, i64::from_le_bytes),
            DType::Bool => put(&mut buffer, &dims, bytes, |[b]: [u8; 1]| b != 0),
        }?;
        buffer.flush()?;
    }
    crate::emit::write_atomically(path, &out)
}

/// Where an output of this name goes: a character that a file name cannot hold becomes `_`.
pub fn output_path(dir: &Path, name: &str) -> PathBuf {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_control() || r#"/\:*?"<>|"#.contains(c) {
                '_'
            } else {
                c
            }
        })
        .collect();
    let safe = if matches!(safe.as_str(), "" | "." | "..") {
        "_".repeat(safe.len().max(1))
    } else {
        safe
    };
    dir.join(format!("{safe}.npy"))
}

/// NumPy's description of a dtype, little-endian.
fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        DType::I8 => "|i1",
        DType::U8 => "|u1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::Bool => "|b1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_survives_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        for dtype in DType::ALL {
            let path = dir.path().join("x.npy");
            let bytes: Vec<u8> = (0..6 * dtype.size())
                .map(|i| {
                    if dtype == DType::Bool {
                        (i % 2) as u8
                    } else {
                        i as u8
                    }
                })
                .collect();
            write(&path, dtype, &[2, 3], &bytes).unwrap();
            assert_eq!(
                read(&path, "x", dtype, &[2, 3]).unwrap(),
                bytes,
                "{dtype:?}"
            );
            let error = read(&path, "x", dtype, &[3, 2]).unwrap_err().to_string();
            assert!(error.contains("shape [2, 3]"), "{error}");
            let other = if dtype == DType::F32 {
                DType::I64
            } else {
                DType::F32
            };
            let error = read(&path, "x", other, &[2, 3]).unwrap_err().to_string();
            assert!(error.contains("astype"), "{error}");
        }
    }

    #[test]
    fn names_become_file_names() {
        let dir = Path::new("out");
        assert_eq!(output_path(dir, "a/b:c"), dir.join("a_b_c.npy"));
        assert_eq!(output_path(dir, ".."), dir.join("__.npy"));
        assert_eq!(output_path(dir, ""), dir.join("_.npy"));
    }
}
