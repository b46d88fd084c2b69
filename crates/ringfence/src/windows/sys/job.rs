//! Job objects: what holds a process tree together, bounds it and ends it.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::time::Instant;

use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::System::IO::{CreateIoCompletionPort, GetQueuedCompletionStatus};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, JOB_OBJECT_CPU_RATE_CONTROL_ENABLE, JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
    JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_ASSOCIATE_COMPLETION_PORT, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JOBOBJECT_BASIC_UI_RESTRICTIONS, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS, JobObjectAssociateCompletionPortInformation,
    JobObjectBasicAccountingInformation, JobObjectBasicUIRestrictions, JobObjectCpuRateControlInformation,
    JobObjectExtendedLimitInformation, QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};

use super::call::{check, owned, size_of_u32};
use super::event::milliseconds_until;

/// What a job keeps its processes from. Nothing ever lets them break away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JobLimits {
    /// Committed memory of all processes together, in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// Processes at the same time.
    pub(crate) active_processes: Option<u32>,
    /// Processor time in hundredths of a percent of all processors together.
    pub(crate) cpu_rate: Option<u32>,
    /// `JOB_OBJECT_UILIMIT_*`.
    pub(crate) user_interface: u32,
}

/// What the processes of a job used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JobUsage {
    /// In 100 nanoseconds.
    pub(crate) user_time: u64,
    /// In 100 nanoseconds.
    pub(crate) kernel_time: u64,
    /// The most memory that any one process had committed, in bytes.
    pub(crate) peak_process_memory: u64,
}

/// A job that ends all its processes when this value, which holds the only handle to it, goes away: also when the
/// supervisor is killed, since the kernel then closes its handles.
#[derive(Debug)]
pub(crate) struct Job {
    job: OwnedHandle,
    port: OwnedHandle,
}

impl Job {
    pub(crate) fn new(limits: &JobLimits) -> io::Result<Self> {
        // SAFETY: no attributes and no name, which nobody could open; the returned handle is ours and not inherited.
        let job = unsafe { owned(CreateJobObjectW(ptr::null(), ptr::null())) }?;
        // SAFETY: no file and no existing port asks for a new one; the returned handle is ours.
        let port = unsafe { owned(CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1)) }?;
        let job = Self { job, port };
        job.limit(limits)?;
        job.set(
            JobObjectAssociateCompletionPortInformation,
            &JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
                CompletionKey: ptr::null_mut(),
                CompletionPort: job.port.as_raw_handle(),
            },
        )?;
        Ok(job)
    }

    fn limit(&self, limits: &JobLimits) -> io::Result<()> {
        let mut extended = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        // A program that crashes would otherwise wait for a click on a desktop that nobody sees.
        let mut flags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
        if let Some(bytes) = limits.memory_bytes {
            flags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
            extended.JobMemoryLimit = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        if let Some(count) = limits.active_processes {
            flags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
            extended.BasicLimitInformation.ActiveProcessLimit = count;
        }
        extended.BasicLimitInformation.LimitFlags = flags;
        self.set(JobObjectExtendedLimitInformation, &extended)?;
        if limits.user_interface != 0 {
            let restrictions = JOBOBJECT_BASIC_UI_RESTRICTIONS { UIRestrictionsClass: limits.user_interface };
            self.set(JobObjectBasicUIRestrictions, &restrictions)?;
        }
        if let Some(rate) = limits.cpu_rate {
            let control = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION {
                ControlFlags: JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
                Anonymous: JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0 { CpuRate: rate },
            };
            self.set(JobObjectCpuRateControlInformation, &control)?;
        }
        Ok(())
    }

    /// Ends every process in the job.
    pub(crate) fn terminate(&self, exit_code: u32) -> io::Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { TerminateJobObject(self.job.as_raw_handle(), exit_code) })
    }

    /// Waits until no process of the job is left; whether that is so.
    pub(crate) fn wait_until_empty(&self, until: Instant) -> io::Result<bool> {
        // The count is asked for after each message, since a message says what was, and one may get lost
        // (https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-jobobject_associate_completion_port).
        while self.active_processes()? > 0 {
            let (mut message, mut key, mut overlapped) = (0, 0, ptr::null_mut());
            let milliseconds = milliseconds_until(until);
            // SAFETY: the port is open and every out pointer is valid for the call.
            let received = check(unsafe {
                GetQueuedCompletionStatus(
                    self.port.as_raw_handle(),
                    &mut message,
                    &mut key,
                    &mut overlapped,
                    milliseconds,
                )
            });
            match received {
                Err(error) if error.raw_os_error() == Some(WAIT_TIMEOUT.cast_signed()) => {
                    return Ok(self.active_processes()? == 0);
                }
                other => other?,
            }
        }
        Ok(true)
    }

    /// How many processes are in the job now.
    pub(crate) fn active_processes(&self) -> io::Result<u32> {
        Ok(self.accounting()?.ActiveProcesses)
    }

    pub(crate) fn usage(&self) -> io::Result<JobUsage> {
        let accounting = self.accounting()?;
        let extended: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = self.query(JobObjectExtendedLimitInformation)?;
        Ok(JobUsage {
            user_time: u64::try_from(accounting.TotalUserTime).unwrap_or(0),
            kernel_time: u64::try_from(accounting.TotalKernelTime).unwrap_or(0),
            peak_process_memory: extended.PeakProcessMemoryUsed as u64,
        })
    }

    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.job.as_handle()
    }

    fn accounting(&self) -> io::Result<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION> {
        self.query(JobObjectBasicAccountingInformation)
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, value: &T) -> io::Result<()> {
        // SAFETY: the structure is that of the class, and as long as is said.
        check(unsafe {
            SetInformationJobObject(self.job.as_raw_handle(), class, ptr::from_ref(value).cast(), size_of_u32::<T>())
        })
    }

    fn query<T: Default>(&self, class: JOBOBJECTINFOCLASS) -> io::Result<T> {
        let mut value = T::default();
        // SAFETY: the structure is that of the class, consists of numbers, and is as long as is said.
        check(unsafe {
            QueryInformationJobObject(
                self.job.as_raw_handle(),
                class,
                ptr::from_mut(&mut value).cast(),
                size_of_u32::<T>(),
                ptr::null_mut(),
            )
        })?;
        Ok(value)
    }
}
