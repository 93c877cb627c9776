//! Models and what they tell of themselves.

use crate::pointer::{self, Out};
use crate::{Status, guard};
use memmap2::Mmap;
use std::ffi::{CString, c_char, c_void};
use std::fs::File;
use std::slice;
use std::sync::Arc;

/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 6;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DType {
    /// 32-bit floating point.
    F32 = 1,
    /// 16-bit floating point.
    F16 = 2,
    /// Signed 8-bit integer.
    I8 = 3,
    /// Unsigned 8-bit integer.
    U8 = 4,
    /// Signed 16-bit integer.
    I16 = 5,
    /// Signed 32-bit integer.
    I32 = 6,
    /// Signed 64-bit integer.
    I64 = 7,
    /// One byte, 0 or 1.
    Bool = 8,
}

impl From<rt::DType> for DType {
    fn from(dtype: rt::DType) -> DType {
        match dtype {
            rt::DType::F32 => DType::F32,
            rt::DType::F16 => DType::F16,
            rt::DType::I8 => DType::I8,
            rt::DType::U8 => DType::U8,
            rt::DType::I16 => DType::I16,
            rt::DType::I32 => DType::I32,
            rt::DType::I64 => DType::I64,
            rt::DType::Bool => DType::Bool,
        }
    }
}

/// Name, type and shape of an input or output.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TensorInfo {
    /// The model's own name, UTF-8 with a NUL at its end. Lives as long as the model.
    pub name: *const c_char,
    /// Element type.
    pub dtype: DType,
    /// Number of dimensions.
    pub rank: u32,
    /// Dimensions, outermost first; 1 beyond the rank.
    pub dims: [usize; MAX_RANK],
    /// Length in bytes.
    pub len: usize,
    /// Largest magnitude of an integer that stands for a real number; 0 where there is none such.
    pub qmax: u32,
    /// What such an integer is multiplied with; 0 where each run computes it.
    pub scale: f32,
}

/// What a model and its sessions share.
pub(crate) struct Loaded {
    /// Borrows from `_map`, or from bytes that the caller keeps.
    model: rt::Model<'static>,
    /// Names with a NUL at the end: per entry point, inputs and outputs.
    names: Vec<[Vec<CString>; 2]>,
    _map: Option<Mmap>,
}

/// A file that was checked, and can be run.
pub struct Model(pub(crate) Arc<Loaded>);

/// Which of an entry point's tensors.
#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

impl Loaded {
    fn new(model: rt::Model<'static>, map: Option<Mmap>) -> Loaded {
        // A name ends where C would end it.
        let name = |info: rt::TensorInfo<'_>| {
            let bytes = info
                .name
                .bytes()
                .take_while(|&b| b != 0)
                .collect::<Vec<_>>();
            CString::new(bytes).unwrap_or_default()
        };
        let entries = 0..model.entry_count();
        Loaded {
            names: entries
                .map(|e| {
                    [
                        model.inputs(e).map(name).collect(),
                        model.outputs(e).map(name).collect(),
                    ]
                })
                .collect(),
            model,
            _map: map,
        }
    }

    pub(crate) fn model(&self) -> &rt::Model<'static> {
        &self.model
    }

    fn infos(&self, entry: usize, side: Side) -> Result<&[CString], Status> {
        let names = self.names.get(entry).ok_or(Status::NoSuchTensor)?;
        Ok(&names[side as usize])
    }

    fn info(&self, entry: usize, side: Side, i: usize) -> Result<TensorInfo, Status> {
        let name = self
            .infos(entry, side)?
            .get(i)
            .ok_or(Status::NoSuchTensor)?;
        let info = match side {
            Side::Input => self.model.inputs(entry).nth(i),
            Side::Output => self.model.outputs(entry).nth(i),
        };
        let info = info.ok_or(Status::NoSuchTensor)?;
        let mut dims = [1; MAX_RANK];
        for (to, from) in dims.iter_mut().zip(info.dims()) {
            *to = *from;
        }
        Ok(TensorInfo {
            name: name.as_ptr(),
            dtype: info.dtype.into(),
            rank: info.dims().len() as u32,
            dims,
            len: info.len,
            qmax: info.quant.map_or(0, |q| q.qmax),
            scale: info.quant.and_then(|q| q.scale).unwrap_or(0.0),
        })
    }

    fn index(&self, entry: usize, side: Side, name: &[u8]) -> Result<usize, Status> {
        let mut names = self.infos(entry, side)?.iter();
        names
            .position(|n| n.as_bytes() == name)
            .ok_or(Status::NoSuchTensor)
    }
}

/// Checks a file that lies in memory and makes a model of it. The bytes are not
/// copied: they must start at a multiple of 8, and stay where and as they are
/// until the model and all its sessions are freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_model_load(
    bytes: *const c_void,
    len: usize,
    model: *mut *mut Model,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(model) }?;
        let start = bytes.cast::<u8>();
        pointer::check_buffer(start, len)?;
        // SAFETY: neither null nor longer than memory, and valid for as long
        // as the model lives by the caller's promise.
        let bytes: &'static [u8] = unsafe { slice::from_raw_parts(start, len) };
        let loaded = Loaded::new(rt::Model::new(bytes)?, None);
        out.put(Box::into_raw(Box::new(Model(Arc::new(loaded)))));
        Ok(())
    })
}

/// Maps a file into memory, checks it and makes a model of it. The file must
/// not be changed until the model and all its sessions are freed; replacing it
/// by another file of the same name does no harm. The path is UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_model_open(path: *const c_char, model: *mut *mut Model) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(model) }?;
        // SAFETY: the caller's promise.
        let path = unsafe { pointer::text(path) }?;
        let path = path.to_str().map_err(|_| Status::NotUtf8)?;
        let file = File::open(path).map_err(|_| Status::Io)?;
        // SAFETY: the caller has promised that nobody changes the file.
        let map = unsafe { Mmap::map(&file) }.map_err(|_| Status::Io)?;
        let (start, len) = (map.as_ptr(), map.len());
        // SAFETY: the map stays at its place when it is moved, and `Loaded`
        // keeps it for as long as the model, which alone uses this slice.
        let bytes: &'static [u8] = unsafe { slice::from_raw_parts(start, len) };
        let loaded = Loaded::new(rt::Model::new(bytes)?, Some(map));
        out.put(Box::into_raw(Box::new(Model(Arc::new(loaded)))));
        Ok(())
    })
}

/// Frees a model; null is allowed. Sessions of it go on, and so must the bytes
/// that it was loaded from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_model_free(model: *mut Model) {
    guard(|| {
        if !model.is_null() {
            // SAFETY: `Box::into_raw` made it, by the caller's promise, and once.
            drop(unsafe { Box::from_raw(model) });
        }
        Ok(())
    });
}

/// Number of entry points, at least 1; 0 for a null model. Entry point 0 is the
/// one to run unless there is a reason for another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_entry_count(model: *const Model) -> usize {
    // SAFETY: the caller's promise.
    unsafe { pointer::shared(model) }.map_or(0, |m| m.0.model.entry_count())
}

/// The number of the entry point with this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_entry_index(
    model: *const Model,
    name: *const c_char,
    index: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (model, name, out) = unsafe {
            (
                pointer::shared(model)?,
                pointer::text(name)?,
                Out::new(index)?,
            )
        };
        let name = name.to_str().map_err(|_| Status::NotUtf8)?;
        let found = model.0.model.entry_index(name);
        out.put(found.ok_or(Status::NoSuchTensor)?);
        Ok(())
    })
}

/// # Safety
/// `model` is null or valid.
unsafe fn count(model: *const Model, entry: usize, side: Side) -> usize {
    // SAFETY: the caller's promise.
    let model = unsafe { pointer::shared(model) };
    model
        .and_then(|m| m.0.infos(entry, side).map(<[_]>::len))
        .unwrap_or(0)
}

/// # Safety
/// The pointers are null or valid.
unsafe fn put_info(
    model: *const Model,
    entry: usize,
    side: Side,
    i: usize,
    info: *mut TensorInfo,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (model, out) = unsafe { (pointer::shared(model)?, Out::new(info)?) };
        out.put(model.0.info(entry, side, i)?);
        Ok(())
    })
}

/// # Safety
/// The pointers are null or valid.
unsafe fn put_index(
    model: *const Model,
    entry: usize,
    side: Side,
    name: *const c_char,
    index: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (model, name, out) = unsafe {
            (
                pointer::shared(model)?,
                pointer::text(name)?,
                Out::new(index)?,
            )
        };
        out.put(model.0.index(entry, side, name.to_bytes())?);
        Ok(())
    })
}

/// Number of inputs of an entry point; 0 for one that does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_input_count(model: *const Model, entry: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { count(model, entry, Side::Input) }
}

/// Number of outputs of an entry point; 0 for one that does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_output_count(model: *const Model, entry: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { count(model, entry, Side::Output) }
}

/// Tells of input `i` of an entry point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_input_info(
    model: *const Model,
    entry: usize,
    i: usize,
    info: *mut TensorInfo,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { put_info(model, entry, Side::Input, i, info) }
}

/// Tells of output `i` of an entry point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_output_info(
    model: *const Model,
    entry: usize,
    i: usize,
    info: *mut TensorInfo,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { put_info(model, entry, Side::Output, i, info) }
}

/// The number of the input with this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_input_index(
    model: *const Model,
    entry: usize,
    name: *const c_char,
    index: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { put_index(model, entry, Side::Input, name, index) }
}

/// The number of the output with this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_output_index(
    model: *const Model,
    entry: usize,
    name: *const c_char,
    index: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { put_index(model, entry, Side::Output, name, index) }
}

/// The value of a metadata key, such as "labels" (one a line) or "licence":
/// UTF-8 without a NUL at its end, which lives as long as the model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_metadata(
    model: *const Model,
    key: *const c_char,
    text: *mut *const c_char,
    len: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (model, key, text, len) = unsafe {
            (
                pointer::shared(model)?,
                pointer::text(key)?,
                Out::new(text)?,
                Out::new(len)?,
            )
        };
        let key = key.to_str().map_err(|_| Status::NotUtf8)?;
        let value = model.0.model.metadata(key).ok_or(Status::NoSuchKey)?;
        text.put(value.as_ptr().cast());
        len.put(value.len());
        Ok(())
    })
}
