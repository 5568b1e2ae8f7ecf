//! Preflight: whether something on this machine would start guests by itself when it boots. A fenced node that boots
//! again runs no guest before it is released, for its VMs may run elsewhere by then; what starts them past Nova knows
//! nothing of that. Such a node is not armed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fencing::lease::Hazards;

/// Where it is looked; a file that is not there starts nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Nova's configuration files, in the order in which nova-compute reads them.
    pub nova_conf: Vec<PathBuf>,
    /// Where libvirt-guests is configured.
    pub libvirt_guests: Vec<PathBuf>,
    /// The link that enables libvirt-guests.
    pub libvirt_guests_wanted: PathBuf,
    /// Links to the domains that libvirt starts itself.
    pub autostart: PathBuf,
}

/// What was found, which is told; nothing where it is not looked. To be called before anything is fed: it reads files.
pub fn look(preflight: Option<&Preflight>) -> Hazards {
    let found = preflight.map(Preflight::look).unwrap_or_default();
    if !found.is_empty() {
        tracing::warn!("guests would start by themselves when this node boots: {found}; not armed");
    }
    found
}

impl Default for Preflight {
    fn default() -> Self {
        let wanted = "/etc/systemd/system/multi-user.target.wants/libvirt-guests.service";
        Self {
            nova_conf: vec!["/etc/nova/nova.conf".into(), "/etc/nova/nova-compute.conf".into()],
            libvirt_guests: vec![
                "/etc/default/libvirt-guests".into(),
                "/etc/sysconfig/libvirt-guests".into(),
            ],
            libvirt_guests_wanted: wanted.into(),
            autostart: "/etc/libvirt/qemu/autostart".into(),
        }
    }
}

impl Preflight {
    /// What would start guests by itself. A file that cannot be read is one of them: nobody knows.
    pub fn look(&self) -> Hazards {
        let mut found = Hazards::default();
        let mut resumes = self.nova_conf.iter().filter_map(|file| nova_resumes(file));
        // The last file that says anything about it decides.
        match resumes.next_back() {
            Some(Ok(true)) => found = found.with(Hazards::NOVA_RESUMES),
            Some(Err(_)) => found = found.with(Hazards::UNREADABLE),
            Some(Ok(false)) | None => {}
        }
        if self.libvirt_guests_wanted.symlink_metadata().is_ok() && !self.guests_are_left_alone() {
            found = found.with(Hazards::LIBVIRT_GUESTS);
        }
        match links_in(&self.autostart) {
            Ok(true) => found = found.with(Hazards::AUTOSTART),
            Err(_) => found = found.with(Hazards::UNREADABLE),
            Ok(false) => {}
        }
        found
    }

    /// libvirt-guests starts them unless it is told not to.
    fn guests_are_left_alone(&self) -> bool {
        let texts = self.libvirt_guests.iter().filter_map(|file| fs::read_to_string(file).ok());
        let mut last = texts.filter_map(|text| {
            let mut values = text.lines().filter_map(|line| line.trim().strip_prefix("ON_BOOT="));
            values.next_back().map(|value| value.trim_matches(['"', '\'', ' ']).to_owned())
        });
        last.next_back().is_some_and(|value| value == "ignore")
    }
}

/// What a file of Nova says of `resume_guests_state_on_host_boot`, if anything.
fn nova_resumes(file: &Path) -> Option<io::Result<bool>> {
    let text = match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(error)),
    };
    let mut section = String::new();
    let mut said = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.to_owned();
        }
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        if section == "DEFAULT" && key.trim() == "resume_guests_state_on_host_boot" {
            let value = value.trim().to_ascii_lowercase();
            said = Some(Ok(matches!(value.as_str(), "true" | "1" | "yes" | "on")));
        }
    }
    said
}

fn links_in(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries
            .filter_map(Result::ok)
            // The latter are links to domains that libvirt starts once.
            .any(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.ends_with(".xml") || name.ends_with(".xml.once")
            })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("preflight-{name}-{}", std::process::id()));
            fs::create_dir_all(folder.join("autostart")).expect("a folder");
            Self(folder)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).expect("written");
        }

        fn preflight(&self) -> Preflight {
            Preflight {
                nova_conf: vec![self.0.join("nova.conf"), self.0.join("nova-compute.conf")],
                libvirt_guests: vec![self.0.join("guests")],
                libvirt_guests_wanted: self.0.join("wanted"),
                autostart: self.0.join("autostart"),
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_machine_without_any_of_it_starts_nothing() {
        let folder = Folder::new("none");
        assert!(folder.preflight().look().is_empty());
        folder.write("nova.conf", "[DEFAULT]\n# resume_guests_state_on_host_boot = true\n");
        assert!(folder.preflight().look().is_empty());
    }

    #[test]
    fn nova_that_resumes_guests_is_found_and_the_last_word_counts() {
        let folder = Folder::new("nova");
        folder.write("nova.conf", "[DEFAULT]\nresume_guests_state_on_host_boot = True\n");
        assert_eq!(folder.preflight().look(), Hazards::NOVA_RESUMES);
        folder.write("nova-compute.conf", "[DEFAULT]\nresume_guests_state_on_host_boot=false\n");
        assert!(folder.preflight().look().is_empty());
        folder.write("nova-compute.conf", "[libvirt]\nresume_guests_state_on_host_boot=false\n");
        assert_eq!(folder.preflight().look(), Hazards::NOVA_RESUMES);
    }

    #[test]
    fn libvirt_guests_counts_where_it_is_enabled_and_not_told_to_ignore_the_boot() {
        let folder = Folder::new("guests");
        folder.write("guests", "ON_BOOT=start\n");
        assert!(folder.preflight().look().is_empty(), "not enabled");
        folder.write("wanted", "");
        assert_eq!(folder.preflight().look(), Hazards::LIBVIRT_GUESTS);
        folder.write("guests", "#ON_BOOT=ignore\n");
        assert_eq!(folder.preflight().look(), Hazards::LIBVIRT_GUESTS, "start is its default");
        folder.write("guests", "ON_BOOT=start\nON_BOOT='ignore'\n");
        assert!(folder.preflight().look().is_empty());
    }

    #[test]
    fn a_domain_that_libvirt_starts_itself_is_found() {
        let folder = Folder::new("autostart");
        folder.write("autostart/vm.xml", "");
        let found = folder.preflight().look();
        assert_eq!(found, Hazards::AUTOSTART);
        assert_eq!(found.to_string(), "libvirt starts domains itself (virsh autostart --disable)");
        fs::remove_file(folder.0.join("autostart/vm.xml")).expect("it was there");
        assert!(folder.preflight().look().is_empty());
        folder.write("autostart/vm.xml.once", "");
        assert_eq!(folder.preflight().look(), Hazards::AUTOSTART, "at the next boot");
    }
}
