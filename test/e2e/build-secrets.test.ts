import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import pg from 'pg'
import { createApp, deploy, followLog, graphql, readDeployment } from '../support/client.js'
import { BASE_IMAGE, freshStep, TestRepository } from '../support/repository.js'
import { Installation } from '../support/server.js'

const SECRET = 'a-secret-that-only-the-build-knows-4711'
const PUBLIC = 'not-secret-at-all'

/** Uses the secret, prints it in two ways, and keeps nothing but its length. */
function dockerfile(): string {
  const script = freshStep(
    'cat /run/secrets/NPM_TOKEN; echo; wc -c < /run/secrets/NPM_TOKEN > /www/index.html; ls /run/secrets; test -z "$NPM_TOKEN"',
  )
  const page =
    'echo "$(cat /www/index.html) ${NPM_TOKEN-unset} $GREETING" > /tmp/index.html; exec busybox httpd -f -p 8080 -h /tmp'
  return [
    `FROM ${BASE_IMAGE}`,
    `RUN ${JSON.stringify(['/bin/busybox', 'mkdir', '/www', '/tmp'])}`,
    `RUN --mount=type=secret,id=NPM_TOKEN ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}`,
    'EXPOSE 8080',
    `CMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', page])}`,
    '',
  ].join('\n')
}

const VARIABLES = [
  { key: 'NPM_TOKEN', value: SECRET, buildSecret: true },
  { key: 'GREETING', value: PUBLIC },
]

describe('a variable that is marked as a build secret', () => {
  test('is mounted where a step asks for it, and is nowhere else', async () => {
    await using installation = await Installation.create()
    const { port } = installation
    await installation.start()
    using repository = new TestRepository({ Dockerfile: dockerfile() })
    const input = { name: 'sealed', repoUrl: repository.url, variables: VARIABLES }
    const { appId, deploymentId } = await createApp(port, input)
    const log = (await followLog(port, deploymentId)).map((event) => event.text).join('')
    assert.equal((await readDeployment(port, deploymentId)).status, 'RUNNING', log)
    const expected = `${SECRET.length} unset ${PUBLIC}`
    assert.equal((await installation.fetch('sealed.localhost')).body.trim(), expected)
    assert.match(log, /^\[REDACTED\]$/m)
    assert.match(log, /^NPM_TOKEN$/m)

    const image = `mvp-sealed:${deploymentId}`
    const docker = (...args: string[]) =>
      execFileSync('docker', args, { encoding: 'latin1', maxBuffer: 256 * 1024 * 1024 })
    const places = {
      log,
      history: docker('history', '--no-trunc', image),
      image: docker('inspect', image),
      layers: docker('save', image),
      container: docker('inspect', `sealed-${deploymentId}`),
      database: await dump(installation.database.url),
    }
    for (const [place, text] of Object.entries(places))
      assert.ok(!text.includes(SECRET), `it is in the ${place}`)

    const { app } = await graphql<{ app: { stage: { id: string; variables: object[] } } }>(
      port,
      'query ($id: ID!) { app(id: $id) { stage { id variables { key buildSecret } } } }',
      { id: appId },
    )
    assert.deepEqual(app.stage.variables, [
      { key: 'GREETING', buildSecret: false },
      { key: 'NPM_TOKEN', buildSecret: true },
    ])

    // Another value is another build; the same is not.
    const again = await followLog(port, await deploy(port, appId))
    assert.ok(again.some(({ text }) => text.includes('was already built')))
    await graphql(
      port,
      'mutation ($id: ID!, $variables: [VariableInput!]!) { setVariables(stageId: $id, variables: $variables) { id } }',
      { id: app.stage.id, variables: [{ key: 'NPM_TOKEN', value: `${SECRET}-2` }] },
    )
    const changed = await followLog(port, await deploy(port, appId))
    assert.ok(changed.some(({ text }) => text.startsWith('Building ')))
    assert.match((await installation.fetch('sealed.localhost')).body, /^\d+ unset /, 'it stays a secret')
  })

  test('ends a build with the classic builder, which would write it down', async () => {
    await using installation = await Installation.create()
    const { port } = installation
    await installation.start({ BUILDER: 'classic' })
    using repository = new TestRepository({ Dockerfile: `FROM ${BASE_IMAGE}\n` })
    const { deploymentId } = await createApp(port, {
      name: 'old',
      repoUrl: repository.url,
      variables: VARIABLES,
    })
    await followLog(port, deploymentId)
    const { error } = await readDeployment(port, deploymentId)
    assert.equal(error?.code, 'BUILD_SECRETS_NEED_BUILDKIT')
    assert.match(error.message, /NPM_TOKEN/)
  })
})

/** All rows of all tables, as text. */
async function dump(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    )
    let text = ''
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`)
      text += rows.map((row) => row.text).join('\n')
    }
    return text
  } finally {
    await client.end()
  }
}
