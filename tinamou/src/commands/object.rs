//! Objects coming and going: the part of `qom.json` that makes them, and the
//! queries for those of each kind.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::Result;

use crate::vm::Vm;

/// `object-add`
pub fn object_add(vm: &mut Vm, _: &mut Call, args: api::ObjectOptions) -> Result<api::Empty> {
    vm.add_object(&args)?;
    for group in vm.objects.throttle_groups() {
        vm.blocks.add_group(group);
    }
    Ok(api::Empty {})
}

/// `object-del`
pub fn object_del(vm: &mut Vm, _: &mut Call, args: api::ObjectDelArguments) -> Result<api::Empty> {
    vm.remove_object(&args.id)?;
    Ok(api::Empty {})
}

/// `query-memdev`
pub fn query_memdev(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::Memdev>> {
    let all = vm.objects.memory();
    Ok(all.map(|(id, memory)| memory.info(id)).collect())
}

/// `query-iothreads`
pub fn query_iothreads(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::IOThreadInfo>> {
    let info = |(id, thread): (&str, &crate::objects::Iothread)| api::IOThreadInfo {
        id: id.to_owned(),
        thread_id: thread.thread_id(),
        poll_max_ns: thread.poll_max_ns.get(),
        poll_grow: thread.poll_grow.get(),
        poll_shrink: thread.poll_shrink.get(),
        aio_max_batch: thread.aio_max_batch.get(),
    };
    Ok(vm.objects.iothreads().map(info).collect())
}

impl Vm {
    /// Makes an object and puts it into the object tree.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn add_object(&mut self, options: &api::ObjectOptions) -> Result<()> {
        self.objects.create(options, &self.network)?;
        self.objects.add_to_tree(&mut self.qom, &options.id)
    }

    /// Removes an object that was made.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn remove_object(&mut self, id: &str) -> Result<()> {
        self.objects.remove(id)?;
        if let Ok(object) = self.qom.resolve(&format!("/objects/{id}")) {
            self.qom.remove(object);
        }
        Ok(())
    }
}
