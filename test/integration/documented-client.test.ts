import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ApolloClient, gql } from '@apollo/client'
import { WebSocket } from 'ws'
import { ApiServer } from '../support/api-server.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog } from '../support/logs.js'
import { TOKEN, until } from '../support/server.js'
import { TcpProxy } from '../support/tcp-proxy.js'

// dist/test/integration → the project's root
const DOCS = fileURLToPath(new URL('../../../docs/frontend.md', import.meta.url))
const MODULE = new URL('../documented-client.mjs', import.meta.url)
const ESBUILD = createRequire(import.meta.url).resolve(`@esbuild/linux-${process.arch}/bin/esbuild`)
const LOGS = gql`
  subscription Logs($id: ID!, $after: Int! = 0) {
    deploymentLogs(deploymentId: $id, after: $after) {
      seq
    }
  }
`

/** The first code of docs/frontend.md, as the module that it is. */
async function loadDocumented(): Promise<(url: string, token: () => string) => ApolloClient> {
  const input = /```ts\n([^]*?)```/.exec(readFileSync(DOCS, 'utf8'))?.[1] ?? ''
  writeFileSync(MODULE, execFileSync(ESBUILD, ['--loader=ts'], { input }))
  const { connect } = (await import(MODULE.href)) as { connect: Awaited<ReturnType<typeof loadDocumented>> }
  return connect
}

test('the client of docs/frontend.md follows a log over lost connections: no gap, no repeat', async () => {
  // As in browsers, and in Node.js from 22 on.
  Object.assign(globalThis, { WebSocket })
  const connect = await loadDocumented()
  await using opened = await openProcesses(1)
  const process = opened.processes[0] as TestProcess
  await using api = await ApiServer.open(process)
  await using proxy = await TcpProxy.start(api.port)
  const { deployment, writer } = await openLog(process)
  const apollo = connect(`http://127.0.0.1:${proxy.port}/graphql`, () => TOKEN)

  const seen: number[] = []
  const done = new Promise<void>((resolve, reject) => {
    apollo
      .subscribe<{ deploymentLogs: { seq: number } }>({ query: LOGS, variables: { id: deployment.id } })
      .subscribe({
        next: ({ data }) => data && seen.push(data.deploymentLogs.seq),
        error: reject,
        complete: resolve,
      })
  })
  for (let round = 1; round <= 3; round++) {
    for (let chunk = 0; chunk < 5; chunk++) {
      writer.system(`chunk ${chunk}`)
      await writer.flush()
      // While nobody is there for the last ones.
      if (chunk === 2) {
        await until(() => seen.length >= (round - 1) * 5 + 3, 10)
        proxy.cut()
      }
    }
    proxy.open()
    await until(() => seen.length >= round * 5, 10)
  }
  await endLog(process, deployment, writer)
  await done

  const { length } = seen
  assert.ok(length > 15)
  assert.deepEqual(
    seen,
    Array.from({ length }, (_, index) => index + 1),
  )
  apollo.stop()
})
