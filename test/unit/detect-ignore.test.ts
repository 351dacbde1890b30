import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ignoredOf } from '../../src/engine/docker/ignore-file.js'
import { has, json, recipe } from '../support/detected.js'

async function sent(files: Record<string, string>, paths: readonly string[]): Promise<string[]> {
  const ignored = await ignoredOf(paths, null, { own: recipe(files).ignore })
  return paths.filter((path) => !ignored.has(path))
}

const page = 'x'

describe('what is not sent to a build', () => {
  const languages: Record<string, Record<string, string>> = {
    'Node.js': { 'package.json': json({ scripts: { start: 'node a.js' } }) },
    Python: { 'requirements.txt': '', 'main.py': '' },
    Go: { 'go.mod': 'module x', 'main.go': 'package main' },
    Rust: { 'Cargo.toml': '[package]\nname = "a"\n', 'src/main.rs': '' },
    'a static site': { 'index.html': page },
  }
  for (const [language, files] of Object.entries(languages)) {
    test(`of ${language}: .env files, in whatever folder`, async () => {
      assert.equal(recipe(files).language, language)
      const hidden = [
        '.env',
        '.env.local',
        'backend/.env',
        'a/b/.env.production',
        'backend/.env/x',
        '.git/config',
      ]
      assert.deepEqual(await sent(files, [...hidden, 'a/env', 'src/main.env.ts']), [
        'a/env',
        'src/main.env.ts',
      ])
    })
  }

  test('of Node.js: packages of any folder; the example of an .env file is', async () => {
    const files = { 'package.json': json({ scripts: { start: 'node a.js' } }) }
    const paths = [
      'node_modules/a/b.js',
      'web/node_modules/a',
      'a/b/npm-debug.log',
      'web/.env.example',
      '.npmrc',
    ]
    assert.deepEqual(await sent(files, paths), ['web/.env.example', '.npmrc'])
  })

  for (const folder of ['', 'public/', 'dist/']) {
    test(`of a site in "${folder}": what is hidden, but .well-known`, async () => {
      const names = [
        '.env',
        '.htpasswd',
        '.git/config',
        'a/.htaccess',
        'a/.b/c',
        'node_modules/a.js',
        '.well-known/.x',
      ]
      const kept = ['index.html', 'a/b.c/d.js', '.well-known/security.txt', '.well-known/a/b']
      const paths = [...names, ...kept].map((path) => `${folder}${path}`)
      assert.deepEqual(
        await sent({ [`${folder}index.html`]: page }, paths),
        kept.map((path) => `${folder}${path}`),
      )
    })
  }

  test('of pages that a build makes: what is hidden is not served', () => {
    const { dockerfile } = recipe({ 'package.json': json({ scripts: { build: 'vite build' } }) })
    has(dockerfile, [
      'COPY --from=build /app/dist/ /www/',
      `RUN find /www -name '.*' ! -name .well-known -prune -exec rm -rf {} +`,
    ])
  })
})
