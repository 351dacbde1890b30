import { after, before } from 'node:test'
import { ApiServer } from './api-server.js'
import { openProcesses, type TestProcess } from './engine.js'

/** A process and its API for the tests of the suite that calls it, which share what they leave in its database. */
export function useApi(take: (api: ApiServer, process: TestProcess) => unknown): void {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let api: ApiServer
  before(async () => {
    opened = await openProcesses(1)
    const process = opened.processes[0] as TestProcess
    api = await ApiServer.open(process)
    await take(api, process)
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    await opened[Symbol.asyncDispose]()
  })
}
