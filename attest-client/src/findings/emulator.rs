//! Emulation. In: files of the process and of the machine. Out: findings.
//! Can't see: a machine whose firmware names another product, and an emulator that answers for every file. A cloud
//! machine is virtual, too, and no finding: it is where services run.

use super::{Around, Finding};
use crate::procfs::{field, parse_maps};

/// Devices of the Android emulator.
const ANDROID_DEVICES: [&str; 3] = ["/dev/qemu_pipe", "/dev/goldfish_pipe", "/dev/goldfish_sync"];
/// Its hardware, as `/proc/cpuinfo` and the system's properties name it.
const ANDROID_HARDWARE: [&str; 3] = ["goldfish", "ranchu", "vbox86"];
/// Guest drivers of desktop machines.
const DESKTOP_DEVICES: [&str; 3] = ["/dev/vboxguest", "/dev/vboxuser", "/dev/prl_tg"];
const DESKTOP_MACHINES: [&str; 4] = ["VirtualBox", "VMware Virtual Platform", "VMware20", "Parallels"];
/// Processors that QEMU makes up when it translates a whole machine.
const EMULATED_PROCESSORS: [&str; 2] = ["QEMU TCG CPU", "QEMU Virtual CPU"];
const PRODUCT: &str = "/sys/class/dmi/id/product_name";
const BUILD_PROPERTIES: &str = "/system/build.prop";

pub(super) fn look(around: &Around) -> Vec<Finding> {
    [
        (is_android_emulator(around), Finding::AndroidEmulator),
        (is_qemu_user(around), Finding::QemuUser),
        (is_desktop_machine(around), Finding::DesktopMachine),
    ]
    .into_iter()
    .filter_map(|(is, finding)| is.then_some(finding))
    .collect()
}

fn is_android_emulator(around: &Around) -> bool {
    let hardware = processor(around, "Hardware");
    let properties = around.text(BUILD_PROPERTIES);
    let product =
        properties.lines().filter_map(|line| line.strip_prefix("ro.product.").or(line.strip_prefix("ro.hardware")));
    let product = product.filter_map(|line| line.split_once('=')).map(|(_, value)| value.trim());
    let names = |value: &str| ANDROID_HARDWARE.iter().any(|name| value.starts_with(name));
    ANDROID_DEVICES.iter().any(|path| around.has(path))
        || hardware.as_deref().is_some_and(names)
        || product.into_iter().any(names)
}

/// QEMU answers `/proc/self/maps` with what the guest would see, and not every other way to the same file.
fn is_qemu_user(around: &Around) -> bool {
    let is_qemu = |name: &str| name.starts_with("qemu-");
    let status = around.process.text("status").unwrap_or_default();
    if field(&status, "Name").is_some_and(is_qemu) {
        return true;
    }
    let pid = field(&status, "Pid").unwrap_or_default();
    [format!("task/{pid}/maps"), format!("task/{pid}/smaps"), "smaps".to_owned()].iter().any(|file| {
        let maps = around.process.text(file).unwrap_or_default();
        parse_maps(&maps).iter().any(|mapping| mapping.is_executable() && is_qemu(mapping.file_name()))
    })
}

fn is_desktop_machine(around: &Around) -> bool {
    let product = around.text(PRODUCT);
    let processor = processor(around, "model name").unwrap_or_default();
    DESKTOP_DEVICES.iter().any(|path| around.has(path))
        || DESKTOP_MACHINES.iter().any(|name| product.trim().starts_with(name))
        || EMULATED_PROCESSORS.iter().any(|name| processor.starts_with(name))
}

/// A line of `/proc/cpuinfo`: `name : value`.
fn processor(around: &Around, name: &str) -> Option<String> {
    let about = around.text("/proc/cpuinfo");
    let mut lines = about.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(field, _)| field.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Process;

    /// A machine with these files and nothing else.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Around) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let around = Around { process: Process::current(), root: folder.path().into(), is_android: false };
        (folder, around)
    }

    #[test]
    fn a_desktop_machine_is_found_and_a_cloud_machine_is_not() {
        for (file, text) in [
            (PRODUCT, "VirtualBox\n"),
            (PRODUCT, "VMware Virtual Platform\n"),
            ("/dev/vboxguest", ""),
            ("/proc/cpuinfo", "processor\t: 0\nmodel name\t: QEMU TCG CPU version 2.5+\n"),
        ] {
            assert_eq!(look(&machine(&[(file, text)]).1), [Finding::DesktopMachine], "{file} {text}");
        }
        for product in ["Google Compute Engine", "c6i.large", "KVM", "Standard PC (Q35 + ICH9, 2009)", "ThinkPad"] {
            assert_eq!(look(&machine(&[(PRODUCT, product)]).1), [], "{product}");
        }
    }

    #[test]
    fn the_android_emulator_is_found_by_its_hardware() {
        for (file, text) in [
            ("/dev/goldfish_pipe", ""),
            ("/proc/cpuinfo", "processor\t: 0\nHardware\t: ranchu\n"),
            (BUILD_PROPERTIES, "ro.product.board=goldfish_arm64\n"),
        ] {
            assert_eq!(look(&machine(&[(file, text)]).1), [Finding::AndroidEmulator], "{file} {text}");
        }
        for real in ["Hardware\t: Qualcomm\n", "model name\t: Intel(R) Xeon(R) Processor\nflags\t: fpu hypervisor\n"] {
            assert_eq!(look(&machine(&[("/proc/cpuinfo", real)]).1), [], "{real}");
        }
    }
}
