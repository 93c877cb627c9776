//! A builder of ONNX models.

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as DimValue};
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as TypeValue};
use tract_onnx::pb::*;

/// A value of an attribute.
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(&'static str),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Box<TensorProto>),
}

impl From<i64> for Attribute {
    fn from(v: i64) -> Self {
        Attribute::Int(v)
    }
}
impl From<f32> for Attribute {
    fn from(v: f32) -> Self {
        Attribute::Float(v)
    }
}
impl From<&'static str> for Attribute {
    fn from(v: &'static str) -> Self {
        Attribute::Text(v)
    }
}
impl From<&[i64]> for Attribute {
    fn from(v: &[i64]) -> Self {
        Attribute::Ints(v.to_vec())
    }
}
impl<const N: usize> From<[i64; N]> for Attribute {
    fn from(v: [i64; N]) -> Self {
        Attribute::Ints(v.to_vec())
    }
}
impl<const N: usize> From<[f32; N]> for Attribute {
    fn from(v: [f32; N]) -> Self {
        Attribute::Floats(v.to_vec())
    }
}
impl From<TensorProto> for Attribute {
    fn from(v: TensorProto) -> Self {
        Attribute::Tensor(Box::new(v))
    }
}

/// A node under construction.
pub struct Node(pub NodeProto);

impl Node {
    pub fn new(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
        Node(NodeProto {
            name: format!("the_{}", op.to_lowercase()),
            op_type: op.into(),
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: outputs.iter().map(|s| s.to_string()).collect(),
            ..NodeProto::default()
        })
    }

    pub fn named(mut self, name: &str) -> Node {
        self.0.name = name.into();
        self
    }

    pub fn with(mut self, name: &str, value: impl Into<Attribute>) -> Node {
        let mut a = AttributeProto {
            name: name.into(),
            ..AttributeProto::default()
        };
        let ty = match value.into() {
            Attribute::Int(v) => {
                a.i = v;
                AttributeType::Int
            }
            Attribute::Float(v) => {
                a.f = v;
                AttributeType::Float
            }
            Attribute::Text(v) => {
                a.s = v.as_bytes().to_vec();
                AttributeType::String
            }
            Attribute::Ints(v) => {
                a.ints = v;
                AttributeType::Ints
            }
            Attribute::Floats(v) => {
                a.floats = v;
                AttributeType::Floats
            }
            Attribute::Tensor(v) => {
                a.t = Some(*v);
                AttributeType::Tensor
            }
        };
        a.r#type = ty as i32;
        self.0.attribute.push(a);
        self
    }
}

/// A model under construction.
#[derive(Clone, Default)]
pub struct Model {
    pub proto: ModelProto,
}

impl Model {
    pub fn new(opset: i64) -> Model {
        Model {
            proto: ModelProto {
                ir_version: 8,
                producer_name: "test".into(),
                opset_import: vec![OperatorSetIdProto {
                    domain: String::new(),
                    version: opset,
                }],
                graph: Some(GraphProto {
                    name: "test".into(),
                    ..GraphProto::default()
                }),
                ..ModelProto::default()
            },
        }
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().unwrap()
    }

    pub fn input(self, name: &str, shape: &[usize]) -> Model {
        self.input_of(name, DataType::Float, shape)
    }

    pub fn input_of(mut self, name: &str, dtype: DataType, shape: &[usize]) -> Model {
        let dims = shape
            .iter()
            .map(|&d| DimValue::DimValue(d as i64))
            .map(Some)
            .collect();
        self.graph().input.push(value_info(name, dtype, Some(dims)));
        self
    }

    /// Dimensions as text: numbers, names, or `?`.
    pub fn dynamic_input(mut self, name: &str, dims: &[&str]) -> Model {
        let dim = |d: &&str| match (d.parse(), *d) {
            (Ok(n), _) => Some(DimValue::DimValue(n)),
            (_, "?") => None,
            (_, name) => Some(DimValue::DimParam(name.into())),
        };
        self.graph().input.push(value_info(
            name,
            DataType::Float,
            Some(dims.iter().map(dim).collect()),
        ));
        self
    }

    pub fn floats(self, name: &str, shape: &[usize], values: &[f32]) -> Model {
        self.tensor(name, floats(shape, values))
    }

    pub fn ints(self, name: &str, shape: &[usize], values: &[i64]) -> Model {
        self.tensor(name, ints(shape, values))
    }

    pub fn tensor(mut self, name: &str, tensor: TensorProto) -> Model {
        self.graph().initializer.push(TensorProto {
            name: name.into(),
            ..tensor
        });
        self
    }

    pub fn node(mut self, node: Node) -> Model {
        self.graph().node.push(node.0);
        self
    }

    pub fn output(self, name: &str) -> Model {
        self.output_of(name, DataType::Float)
    }

    pub fn output_of(mut self, name: &str, dtype: DataType) -> Model {
        self.graph().output.push(value_info(name, dtype, None));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }
}

fn value_info(name: &str, dtype: DataType, dims: Option<Vec<Option<DimValue>>>) -> ValueInfoProto {
    let shape = dims.map(|dims| TensorShapeProto {
        dim: dims
            .into_iter()
            .map(|value| Dimension {
                value,
                ..Dimension::default()
            })
            .collect(),
    });
    let tensor = TensorType {
        elem_type: dtype as i32,
        shape,
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A float tensor.
pub fn floats(shape: &[usize], values: &[f32]) -> TensorProto {
    assert_eq!(shape.iter().product::<usize>(), values.len());
    TensorProto {
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// A half-precision tensor.
pub fn halves(shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: DataType::Float16 as i32,
        raw_data: values
            .iter()
            .flat_map(|&v| half::f16::from_f32(v).to_bits().to_le_bytes())
            .collect(),
        ..TensorProto::default()
    }
}

/// An int64 tensor.
pub fn ints(shape: &[usize], values: &[i64]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// Values that differ from each other, of both signs, without a pattern; the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}
