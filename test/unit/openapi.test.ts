import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import Fastify from 'fastify'
import { DEPLOYMENT_ERROR_CODES } from '../../src/entities/deployment-error-code.js'
import { DeploymentStatus, DeploymentTrigger } from '../../src/entities/deployment-status.js'
import { serveOpenApi } from '../../src/http/openapi.js'
import { serveRestCommands } from '../../src/http/rest-commands.js'
import { serveRestRuntimeLogs } from '../../src/http/rest-runtime-logs.js'
import { serveRest } from '../../src/http/rest.js'
import type { ApiDependencies } from '../../src/resolvers/request-context.js'

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: object
  readonly responses: Readonly<Record<string, unknown>>
}
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}
interface Schema {
  readonly properties: Readonly<Record<string, { readonly enum?: readonly string[] }>>
}

const DOCUMENT = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../web/openapi.json'), 'utf8'),
) as OpenApi
const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase()).sort()

describe('web/openapi.json', () => {
  test('has the routes that there are, and no others', async () => {
    const app = Fastify({ exposeHeadRoutes: false })
    const routes: string[] = []
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) routes.push(`${one} ${url.replace(/:(\w+)/g, '{$1}')}`)
    })
    const nothing = {} as ApiDependencies // no handler runs
    serveRest(app, nothing)
    serveRestCommands(app, nothing)
    serveRestRuntimeLogs(app, nothing)
    serveOpenApi(app)
    await app.ready()
    const documented = operations().map(([method, path]) => `${method.toUpperCase()} ${path}`)
    assert.deepEqual(documented.sort(), routes.sort())
  })

  test('names each parameter of a path, each operation once, and what is refused', () => {
    const ids = operations().map(([, , { operationId }]) => operationId)
    assert.equal(new Set(ids).size, ids.length)
    for (const [method, path, { parameters = [], responses }] of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const named = parameters.filter((one) => one.in === 'path').map(({ name }) => name)
      assert.deepEqual(named, inPath, `${method} ${path}`)
      if (path !== '/api/v1/openapi.json') assert.ok(responses['401'], `${method} ${path}`)
    }
  })

  test('gives no default in what is sent: generators of types take the field for required', () => {
    const bodies = operations().flatMap(([, , { requestBody }]) => requestBody ?? [])
    const sent = JSON.stringify([bodies, DOCUMENT.components.schemas.NewApp])
    assert.ok(bodies.length > 0)
    assert.doesNotMatch(sent, /"default":/)
  })

  test('lists statuses, triggers and error codes as they are', () => {
    const enumOf = (schema: string, property: string) =>
      [...(DOCUMENT.components.schemas[schema]?.properties[property]?.enum ?? [])].sort()
    assert.deepEqual(enumOf('Deployment', 'status'), lower(Object.values(DeploymentStatus)))
    assert.deepEqual(enumOf('Deployment', 'trigger'), lower(Object.values(DeploymentTrigger)))
    assert.deepEqual(enumOf('DeploymentError', 'phase'), lower(Object.values(DeploymentStatus)))
    assert.deepEqual(enumOf('DeploymentError', 'code'), Object.keys(DEPLOYMENT_ERROR_CODES).sort())
  })
})

function operations(): [method: string, path: string, operation: Operation][] {
  return Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      method,
      path,
      operation,
    ]),
  )
}
