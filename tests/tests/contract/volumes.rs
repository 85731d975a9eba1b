//! Volumes. Instances that share one have different maps of ids where the engine has such maps, as machines have.

use codchi_driver::{Device, DriverError, InstanceName};
use codchi_tests::engine::{self, Kind};
use codchi_tests::instance::{INIT, Machine};

/// The device that is a volume.
fn device(pool: &str, name: &InstanceName, read_only: bool) -> Device {
    Device::Volume { pool: pool.into(), name: name.clone(), path: "/shared".into(), read_only }
}

#[tokio::test]
async fn a_volume_is_shared_by_instances_and_written_by_one() {
    let (one, other) = (Machine::planned(INIT).await, Machine::planned(INIT).await);
    let (driver, name) = (&one.driver, &one.name);
    assert_eq!(driver.volume(name).await.unwrap(), None);
    let volume = driver.create_volume(name).await.unwrap();
    assert_eq!(driver.volume(name).await.unwrap().unwrap().pool, volume.pool);
    let again = driver.create_volume(name).await.unwrap_err();
    assert!(matches!(again, DriverError::NameTaken { .. }), "{again:?}");

    for (machine, read_only) in [(&one, false), (&other, true)] {
        let mut spec = machine.spec();
        spec.devices.insert("shared".into(), device(&volume.pool, name, read_only));
        if read_only && engine::kind() != Kind::Wsl {
            spec.config.insert("raw.idmap".into(), "uid 0 1000\ngid 0 1000".into());
        }
        machine.driver.create(&machine.name, &spec).await.unwrap();
        machine.boot().await;
    }
    one.sh("echo text >/shared/file; chown 7:8 /shared/file; chmod 640 /shared/file").await;
    assert_eq!(other.sh("stat -c '%u %g %a' /shared/file; cat /shared/file").await, "7 8 640\ntext");
    let refused = "for way in 'touch /shared/x' 'mount -o remount,rw /shared' 'mount -o remount,bind,rw /shared' \
                   'unshare -m mount -o remount,bind,rw /shared'; do $way 2>/dev/null && echo $way; done; true";
    // All distributions of WSL have one and the same root.
    if engine::kind() != Kind::Wsl {
        assert_eq!(other.sh(refused).await, "");
    }
    assert_eq!(other.sh("touch /shared/x 2>/dev/null || echo refused").await, "refused");

    // One that instances have stays.
    assert!(driver.delete_volume(name).await.is_err());
    assert!(driver.volume(name).await.unwrap().is_some());
    for machine in [&one, &other] {
        machine.driver.delete(&machine.name).await.unwrap();
    }
    driver.delete_volume(name).await.unwrap();
    assert_eq!(driver.volume(name).await.unwrap(), None);
    driver.delete_volume(name).await.unwrap();
}
