import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ApiServer } from '../support/api-server.js'
import { TOKEN } from '../support/server.js'
import { useApi } from '../support/use-api.js'

const OPENAPI = join(import.meta.dirname, '../../../web/openapi.json')
type Json = Readonly<Record<string, unknown>>

describe('commands over REST', () => {
  let api: ApiServer
  let id = ''
  useApi(async (opened) => {
    api = opened
    const created = await send('POST', 'apps', { name: 'shop', repo_url: 'https://git.invalid/x.git' })
    assert.equal(created.status, 201)
    id = (created.body as { id: string }).id
  })

  async function send(
    method: string,
    path: string,
    body?: object,
    more: Readonly<Record<string, string>> = {},
  ) {
    const type: Record<string, string> = body ? { 'content-type': 'application/json' } : {}
    const response = await fetch(`http://127.0.0.1:${api.port}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...type, ...more },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as unknown }
  }
  const fieldsOf = (body: unknown) =>
    (body as { error: { fields: { field: string }[] } }).error.fields.map(({ field }) => field)

  test('deploy, once for a key in the body or the header, and cancel', async () => {
    const asked = { ref: 'v1', no_cache: true, idempotency_key: 'ci-1' }
    const deployed = await send('POST', `apps/${id}/deployments`, asked)
    assert.equal(deployed.status, 201)
    const { id: deploymentId, ref, actor, trigger } = deployed.body as Json
    assert.deepEqual([ref, actor, trigger], ['v1', 'admin', 'manual'])
    const again = await send('POST', `apps/${id}/deployments`, undefined, { 'idempotency-key': 'ci-1' })
    assert.equal((again.body as Json).id, deploymentId)
    const cancelled = await send('POST', `deployments/${String(deploymentId)}/cancel`)
    assert.deepEqual([cancelled.status, (cancelled.body as Json).status], [200, 'cancelled'])
    const late = await send('POST', `deployments/${String(deploymentId)}/cancel`)
    assert.equal(late.status, 409)
  })

  test('roll back, and say why not', async () => {
    const nothing = await send('POST', `apps/${id}/rollback`)
    assert.equal(nothing.status, 409)
    const unknown = await send('POST', `apps/${id}/rollback`, { to_deployment_id: 'nothing' })
    assert.deepEqual([unknown.status, fieldsOf(unknown.body)], [404, ['to_deployment_id']])
    assert.equal((await send('POST', 'apps/nothing/rollback')).status, 404)
  })

  test('set, replace and unset variables, whose values are not shown', async () => {
    const keys = (body: unknown) => (body as { key: string }[]).map(({ key }) => key)
    const put = await send('PUT', `apps/${id}/variables`, { A: 'secret-a', B: 'secret-b' })
    assert.deepEqual(keys(put.body), ['A', 'B'])
    assert.ok(!JSON.stringify(put.body).includes('secret-'))
    assert.deepEqual(keys((await send('PATCH', `apps/${id}/variables`, { C: 'c' })).body), ['A', 'B', 'C'])
    assert.equal((await send('DELETE', `apps/${id}/variables/A`)).status, 204)
    assert.equal((await send('DELETE', `apps/${id}/variables/A`)).status, 204)
    assert.deepEqual(keys((await send('PUT', `apps/${id}/variables`, { D: 'd' })).body), ['D'])
    const wrong = await send('PATCH', `apps/${id}/variables`, { '1': 'x', E: 2, F: null })
    assert.deepEqual([wrong.status, fieldsOf(wrong.body)], [400, ['variables.E', 'variables.F']])
    const stage = await send('GET', `apps/${id}/variables?stage=nothing`)
    assert.deepEqual([stage.status, fieldsOf(stage.body)], [404, ['stage']])
    assert.deepEqual(keys((await send('GET', `apps/${id}/variables`)).body), ['D'])
  })

  test('refuse what they do not know, and every type that is wrong', async () => {
    const misspelt = await send('POST', `apps/${id}/deployments`, { branch: 'main', nocache: true })
    assert.deepEqual([misspelt.status, fieldsOf(misspelt.body)], [400, ['branch', 'nocache']])
    const types = await send('POST', `apps/${id}/deployments`, { stage: 1, ref: [], no_cache: 'yes' })
    assert.deepEqual([types.status, fieldsOf(types.body)], [400, ['stage', 'ref', 'no_cache']])
  })

  test('answer in the form of the document that they serve', async () => {
    const served = await fetch(`http://127.0.0.1:${api.port}/api/v1/openapi.json`)
    const document = (await served.json()) as {
      components: { schemas: Record<string, { properties: Json }> }
    }
    assert.deepEqual(document, JSON.parse(readFileSync(OPENAPI, 'utf8')))
    const propertiesOf = (name: string) => Object.keys(document.components.schemas[name]?.properties ?? {})
    const first = async (path: string) => Object.keys(((await send('GET', path)).body as Json[])[0] ?? {})
    assert.deepEqual(await first('apps'), propertiesOf('App'))
    assert.deepEqual(await first(`apps/${id}/deployments`), propertiesOf('Deployment'))
    assert.deepEqual(await first(`apps/${id}/variables`), propertiesOf('Variable'))
    const failed = await send('GET', 'apps/nothing')
    const error = document.components.schemas.Error?.properties.error as { properties: Json }
    assert.deepEqual(Object.keys((failed.body as { error: Json }).error), Object.keys(error.properties))
  })
})
