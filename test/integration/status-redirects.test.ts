import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForgeClient } from '../../src/engine/forges/forge-client.js'
import { postStatus } from '../../src/engine/webhooks/statuses.js'
import { Forge } from '../../src/entities/webhook-delivery.js'
import { ForgeServer } from '../support/forge-server.js'

const SHA = 'a'.repeat(40)
const STATUS = { sha: SHA, state: 'success', context: 'c', description: 'd', targetUrl: 'u' } as const

test('a renamed repository is told where it is now, once, and no other host gets the token', async () => {
  await using forge = await ForgeServer.start()
  using forges = new ForgeClient(null, {})
  await using other = await ForgeServer.start()
  const target = { forge: Forge.GITHUB, apiUrl: `${forge.url}/github`, repository: 'o/old', token: 'right' }
  const post = () => postStatus(forges, { target, status: STATUS }, { signal: new AbortController().signal })
  const redirect = (status: number, location?: string) =>
    forge.next.push((response) => response.writeHead(status, location ? { location } : {}).end())

  for (const location of [
    `/github/repos/o/new/statuses/${SHA}`,
    `${forge.url}/github/repos/o/new/statuses/${SHA}`,
  ]) {
    redirect(301, location)
    await post()
  }
  assert.deepEqual(
    forge.told.map(({ path, headers, body }) => [path, headers.authorization, body.state]),
    Array(2).fill([`/github/repos/o/new/statuses/${SHA}`, 'Bearer right', 'success']),
  )

  redirect(307, `${other.url}/github/repos/o/new/statuses/${SHA}`)
  await assert.rejects(post(), { message: new RegExp(`redirects \\(307\\) to ${other.url}`), isFinal: true })
  assert.equal(other.asked, 0)
  redirect(301, '/github/again')
  redirect(301, '/github/again')
  await assert.rejects(post(), /more than once, or nowhere/)
  redirect(302)
  await assert.rejects(post(), /more than once, or nowhere/)
})
