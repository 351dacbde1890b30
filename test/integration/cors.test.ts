import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ApiServer } from '../support/api-server.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { TOKEN } from '../support/server.js'

const APP = 'https://app.example.com'
const LOCAL = 'http://localhost:5173'
const OTHER = 'https://evil.example.com'

const EXPOSED = 'retry-after, x-next-cursor, x-longshore-status, etag'

describe('a page of another origin', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let open: ApiServer
  let closed: ApiServer

  before(async () => {
    opened = await openProcesses(1)
    const process = opened.processes[0] as TestProcess
    open = await ApiServer.open(process, [APP, LOCAL])
    closed = await ApiServer.open(process)
  })
  after(async () => {
    await open[Symbol.asyncDispose]()
    await closed[Symbol.asyncDispose]()
    await opened[Symbol.asyncDispose]()
  })

  /** What a browser asks before it sends a token. */
  const preflight = ({ port }: ApiServer, origin: string, path = '/graphql', method = 'POST') =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type',
      },
    })
  const asked = ({ port }: ApiServer, origin: string, authorization = `Bearer ${TOKEN}`) =>
    fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { origin, authorization, 'content-type': 'application/json' },
      body: '{"query":"{ apps { totalCount } }"}',
    })
  const allowed = ({ headers }: Response) => headers.get('access-control-allow-origin')

  test('that is listed asks for leave without a token, and gets answers that it may read', async () => {
    for (const origin of [APP, LOCAL]) {
      for (const [path, method] of [
        ['/graphql', 'POST'],
        ['/api/v1/apps/x', 'DELETE'],
      ] as const) {
        const answer = await preflight(open, origin, path, method)
        assert.deepEqual([answer.status, allowed(answer)], [204, origin])
        assert.match(answer.headers.get('access-control-allow-methods') ?? '', new RegExp(method))
        assert.equal(answer.headers.get('access-control-allow-headers'), 'authorization,content-type')
        assert.match(answer.headers.get('vary') ?? '', /Origin/i)
      }
      const answer = await asked(open, origin)
      assert.deepEqual([answer.status, allowed(answer)], [200, origin])
      assert.equal(answer.headers.get('access-control-expose-headers'), EXPOSED)
      // Also what is wrong: a page has to be able to read why.
      const refused = await asked(open, origin, 'Bearer wrong')
      assert.deepEqual([refused.status, allowed(refused)], [401, origin])
      assert.equal(refused.headers.get('access-control-allow-credentials'), null)
    }
  })

  test('that is not listed is not allowed anything', async () => {
    for (const origin of [OTHER, `${APP}.evil.com`, 'https://app.example.com:444', 'null']) {
      assert.equal(allowed(await preflight(open, origin)), null, origin)
      assert.equal(allowed(await asked(open, origin)), null, origin)
    }
  })

  test('is not allowed anything where none is listed', async () => {
    const answer = await preflight(closed, APP)
    assert.deepEqual([answer.status, allowed(answer)], [401, null])
    assert.equal(allowed(await asked(closed, APP)), null)
  })
})
