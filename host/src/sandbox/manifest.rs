//! What a plugin says of itself.

/// A checked manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub description: String,
    /// Valid JSON.
    pub config_schema: Option<String>,
    /// Valid JSON.
    pub output_schema: Option<String>,
    pub required_fields: Vec<String>,
    pub model_roles: Vec<ModelRole>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRole {
    pub name: String,
    pub description: String,
    pub optional: bool,
}

impl Manifest {
    /// Stands in until the plugin has been asked.
    pub fn unknown() -> Self {
        Self {
            name: String::new(),
            version: String::new(),
            description: String::new(),
            config_schema: None,
            output_schema: None,
            required_fields: Vec::new(),
            model_roles: Vec::new(),
        }
    }

    /// Whether items cannot be processed without a model.
    pub fn needs_model(&self) -> bool {
        self.model_roles.iter().any(|role| !role.optional)
    }
}
