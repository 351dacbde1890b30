import { after, before, beforeEach } from 'node:test'
import { openProcesses, type TestProcess } from './engine.js'

/** One process for the tests of the suite that calls it; each begins with an empty database. */
export function useProcess(take: (process: TestProcess) => void): void {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let process: TestProcess
  before(async () => {
    opened = await openProcesses(1)
    process = opened.processes[0] as TestProcess
    take(process)
  })
  beforeEach(() => process.database.query('TRUNCATE app CASCADE'))
  after(() => opened[Symbol.asyncDispose]())
}
