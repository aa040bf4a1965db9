//! A file as another program sees it.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The tensors and metadata of a file, to be changed.
pub(crate) struct Contents {
    pub(crate) tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Contents {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a file");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a valid file");
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        let file = SafeTensors::deserialize(&bytes).expect("a valid file");
        let tensors = file.iter().map(|(name, tensor)| {
            (name.to_string(), (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()))
        });
        Self { tensors: tensors.collect(), metadata }
    }

    pub(crate) fn write(&self, path: &Path) {
        let views = self.tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).expect("as many bytes as elements need"))
        });
        let bytes = safetensors::serialize(views, Some(self.metadata.clone().into_iter().collect()));
        fs::write(path, bytes.expect("a valid file")).expect("a file");
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        let (dtype, _, data) = &self.tensors[name];
        assert_eq!(*dtype, Dtype::F32);
        data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    pub(crate) fn insert(&mut self, name: &str, dtype: Dtype, shape: &[usize]) {
        let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        self.tensors.insert(name.into(), (dtype, shape.to_vec(), vec![0; len]));
    }

    pub(crate) fn insert_count(&mut self, name: &str, count: u64) {
        self.tensors.insert(name.into(), (Dtype::U64, vec![], count.to_le_bytes().to_vec()));
    }
}
