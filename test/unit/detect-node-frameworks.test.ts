import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, problem, recipe } from '../support/detected.js'

type Files = Record<string, string>

const manifest = (value: object): Files => ({ 'package.json': json(value) })
const of = (value: object, files: Files = {}) => recipe({ ...manifest(value), ...files })
const NITRO = 'CMD ["node",".output/server/index.mjs"]'
const vite = { scripts: { dev: 'vite', build: 'vite build' }, devDependencies: { vite: '6' } }

describe('frameworks of Node.js', () => {
  for (const [what, value, files, line] of [
    [
      'TanStack Start with Nitro',
      { scripts: { build: 'vite build' }, dependencies: { '@tanstack/react-start': '1', nitro: '3' } },
      {},
      NITRO,
    ],
    [
      'TanStack Start by its configuration',
      { scripts: { build: 'vite build' }, dependencies: { '@tanstack/solid-start': '1' } },
      { 'vite.config.ts': 'plugins: [tanstackStart(), nitro()]' },
      NITRO,
    ],
    [
      'SolidStart',
      {
        scripts: { build: 'vinxi build', start: 'vinxi dev' },
        dependencies: { '@solidjs/start': '1', vinxi: '0' },
      },
      {},
      NITRO,
    ],
    [
      'Astro with its server',
      {
        scripts: { build: 'astro build', start: 'astro dev' },
        dependencies: { astro: '5', '@astrojs/node': '9' },
      },
      {},
      'CMD ["node","dist/server/entry.mjs"]',
    ],
    [
      'SvelteKit by the adapter that is imported',
      {
        scripts: { build: 'vite build' },
        devDependencies: {
          '@sveltejs/kit': '2',
          '@sveltejs/adapter-auto': '6',
          '@sveltejs/adapter-node': '5',
        },
      },
      {
        'svelte.config.js': `import adapter from '@sveltejs/adapter-node'\nadapter: adapter({ out: 'server' })`,
      },
      'CMD ["node","server"]',
    ],
    [
      'React Router',
      { scripts: { build: 'react-router build' }, dependencies: { '@react-router/serve': '7' } },
      {},
      'CMD ["sh","-c","exec react-router-serve build/server/index.js"]',
    ],
    [
      'Angular with a server',
      {
        scripts: {
          build: 'ng build',
          start: 'ng serve',
          'serve:ssr:shop': 'node dist/shop/server/server.mjs',
        },
      },
      {},
      'CMD ["node","dist/shop/server/server.mjs"]',
    ],
    [
      'a program that is compiled',
      { main: './dist/index.js', scripts: { build: 'tsc' }, devDependencies: { typescript: '5' } },
      {},
      'CMD ["node","dist/index.js"]',
    ],
    [
      'pages of React Router',
      { scripts: { build: 'react-router build' }, dependencies: { '@react-router/serve': '7' } },
      { 'react-router.config.ts': 'export default { ssr: false }' },
      'COPY --from=build /app/build/client/ /www/',
    ],
    [
      "Vite's outDir",
      vite,
      { 'vite.config.ts': `build: { outDir: './out/site', sourcemap: true }` },
      'COPY --from=build /app/out/site/ /www/',
    ],
    [
      "Vite's root and outDir",
      vite,
      { 'vite.config.js': `root: 'client',\nbuild: {\n  outDir: '../public'\n}` },
      'COPY --from=build /app/public/ /www/',
    ],
    [
      "Vite's root",
      vite,
      { 'vite.config.mjs': `root: path.join(__dirname, 'client')` },
      'COPY --from=build /app/client/dist/ /www/',
    ],
    [
      'an outDir in a comment',
      vite,
      { 'vite.config.ts': `// outDir: 'x'` },
      'COPY --from=build /app/dist/ /www/',
    ],
    [
      'an outDir above the folder',
      vite,
      { 'vite.config.ts': `outDir: '../x'` },
      'COPY --from=build /app/dist/ /www/',
    ],
    [
      'an option of the build',
      { scripts: { build: 'vite build --outDir=web' }, devDependencies: { vite: '6' } },
      {},
      'COPY --from=build /app/web/ /www/',
    ],
    [
      'VitePress',
      { scripts: { build: 'vitepress build docs' }, devDependencies: { vitepress: '1' } },
      {},
      'COPY --from=build /app/docs/.vitepress/dist/ /www/',
    ],
  ] as readonly (readonly [string, object, Files, string])[]) {
    test(`are found: ${what}`, () => has(of(value, files).dockerfile, [line]))
  }

  test('that make nothing to start say what to add', () => {
    const tanstack = { scripts: { build: 'vite build' }, dependencies: { '@tanstack/react-start': '1' } }
    assert.match(problem(manifest(tanstack)), /TanStack Start .*"nitro".*"start" script/)
    for (const build of ['tsc --noEmit', 'tsc -p . --noEmit && eslint .', 'vue-tsc --noEmit'])
      assert.match(
        problem(manifest({ scripts: { build } })),
        /no "build" script that makes pages: add a start script/,
      )
    has(of({ scripts: { build: 'tsc --noEmit && vite build' } }).dockerfile, [
      'COPY --from=build /app/dist/ /www/',
    ])
  })

  test('listen where others get to', () => {
    has(of({ scripts: { start: 'node a.js' } }).dockerfile, ['ENV HOST=0.0.0.0'])
    has(of({ scripts: { start: 'next start' }, dependencies: { next: '15' } }).dockerfile, [
      'ENV HOST=0.0.0.0 HOSTNAME=0.0.0.0',
    ])
  })
})
