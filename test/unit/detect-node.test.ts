import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, problem, recipe } from '../support/detected.js'

describe('Node.js is detected', () => {
  test('an Express app with npm: packages in a layer of their own, as a user without rights', () => {
    const { dockerfile, language, detectedBy, ignore } = recipe({
      'package.json': json({ scripts: { start: 'node index.js' }, dependencies: { express: '^4' } }),
      'package-lock.json': '{}',
      'index.js': '',
    })
    assert.equal(language, 'Node.js')
    assert.deepEqual(detectedBy, ['package.json', 'package-lock.json'])
    assert.ok(ignore.includes('**/node_modules') && ignore.includes('**/.env'))
    has(dockerfile, [
      'FROM node:24-slim AS build',
      'COPY package.json package-lock.json ./',
      'RUN CI=true npm ci',
      'COPY . .',
      'RUN npm prune --omit=dev --ignore-scripts',
      'FROM node:24-slim',
      'COPY --from=build --chown=1000:1000 /app ./',
      'USER 1000:1000',
      'EXPOSE 3000',
      'CMD ["node","index.js"]',
    ])
    assert.doesNotMatch(dockerfile, /run build/)
  })

  test('a Next.js app: its build and its start script', () => {
    const scripts = { dev: 'next dev', build: 'next build', start: 'next start' }
    has(recipe({ 'package.json': json({ scripts }), 'package-lock.json': '' }).dockerfile, [
      'RUN npm run build',
      'CMD ["npm","run","start"]',
    ])
  })

  test('a Vite app, which nothing serves: its pages', () => {
    const scripts = { dev: 'vite', build: 'vite build', preview: 'vite preview' }
    const { dockerfile } = recipe({
      'package.json': json({ scripts, devDependencies: { vite: '6' } }),
      'index.html': '',
    })
    has(dockerfile, [
      'RUN CI=true npm install',
      'RUN npm run build',
      'COPY --from=build /app/dist/ /www/',
      'FROM busybox:stable',
      'USER 65534:65534',
    ])
    assert.match(dockerfile, /^RUN for page in 404\.html index\.html; do /m)
  })

  test('Create React App, whose start script is for development', () => {
    const scripts = { start: 'react-scripts start', build: 'react-scripts build' }
    const files = {
      'package.json': json({ scripts, dependencies: { 'react-scripts': '5' } }),
      'yarn.lock': '',
    }
    has(recipe(files).dockerfile, [
      'RUN CI=true yarn install --frozen-lockfile',
      'RUN yarn run build',
      'COPY --from=build /app/build/ /www/',
    ])
  })

  test('an installation that reads files of the repository gets them first', () => {
    for (const more of [
      { scripts: { start: 'node a', postinstall: 'node b' } },
      { workspaces: ['a'], main: 'index.js' },
      { pnpm: { patchedDependencies: { 'a@1.0.0': 'patches/a.patch' } } },
      { dependencies: { a: 'file:./a' } },
      { devDependencies: { a: '../a' } },
    ]) {
      const { dockerfile } = recipe({ 'package.json': json(more), 'index.js': '' })
      has(dockerfile, ['COPY . .', 'RUN CI=true npm install'])
      assert.doesNotMatch(dockerfile, /COPY package\.json/)
    }
  })

  for (const [asked, version] of [
    ['20', '20'],
    ['v20.11.1', '20'],
    ['20.x', '20'],
    ['^20.9.0', '20'],
    ['>=18', '24'],
    ['18 || 20', '20'],
    ['>=24', '24'],
    ['>=16 <19', '18'],
    ['lts/*', '24'],
    ['20; RUN x', '24'],
  ] as const) {
    test(`version ${asked} is ${version}`, () => {
      const files = { 'package.json': json({ main: 'index.js', engines: { node: asked } }), 'index.js': '' }
      has(recipe(files).dockerfile, [`FROM node:${version}-slim`])
    })
  }

  test('what cannot be started says what to add', () => {
    assert.match(problem({ 'package.json': json({ name: 'x' }) }), /add a start script/)
    for (const text of ['{', '[]', 'null', ''])
      assert.match(problem({ 'package.json': text }), /not a JSON object/)
  })
})
