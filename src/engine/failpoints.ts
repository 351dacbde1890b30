/**
 * Kills the process with SIGKILL when the named point is reached: how the fault suite crashes before and after each
 * step of a deployment. The setting FAILPOINT names one, as `after:build`; unset, which is the default, nothing happens.
 */
export function createFailpoint(setting: string | null): (point: string) => void {
  return (point) => {
    if (point === setting) process.kill(process.pid, 'SIGKILL')
  }
}
