import { type Detector, type Images, NEVER_SENT, present, stages } from './detected-build.js'

const PORT = 8080
/** What busybox' httpd sends compressed where a `.gz` lies beside it. */
const COMPRESSED = ['html', 'css', 'js', 'mjs', 'json', 'svg', 'xml', 'txt', 'map', 'wasm']

/** Beside those that every busybox' httpd knows, some of which have an older name there. */
const TYPES = {
  ...{ html: 'text/html', css: 'text/css', js: 'text/javascript', mjs: 'text/javascript', txt: 'text/plain' },
  ...{ json: 'application/json', map: 'application/json', webmanifest: 'application/manifest+json' },
  ...{ xml: 'text/xml', wasm: 'application/wasm', pdf: 'application/pdf', svg: 'image/svg+xml' },
  ...{ webp: 'image/webp', avif: 'image/avif', ico: 'image/x-icon', mp4: 'video/mp4', webm: 'video/webm' },
  ...{ woff: 'font/woff', woff2: 'font/woff2', ttf: 'font/ttf', otf: 'font/otf' },
}

/** Files that are served as they are: an index.html in the root, in `public/` or in `dist/`. */
export const detectStatic: Detector = (tree, images) => {
  const isJekyll =
    tree.paths.has('_config.yml') &&
    present(tree, ['_layouts/', '_includes/', '_posts/', 'Gemfile']).length > 0
  if (isJekyll) {
    return {
      problem: 'this is a Jekyll site, which Longshore does not build: add a Dockerfile that does',
    }
  }
  const folder = ['', 'public/', 'dist/'].find((path) => tree.paths.has(`${path}index.html`))
  if (folder === undefined) return null
  return {
    language: 'a static site',
    notes: [],
    detectedBy: [`${folder}index.html`],
    dockerfile: stages(...servesFiles(images, [`COPY ${folder || '.'} /www/`], [])),
    // Hidden files are nobody's business; what certificates and browsers ask for is.
    ignore: [
      ...NEVER_SENT,
      '**/.*',
      `!${folder}.well-known`,
      `${folder}.well-known/**/.*`,
      '**/node_modules',
    ],
  }
}

/** A build copies what is hidden beside its pages; it is served as little as where there is no build. */
export const WITHOUT_HIDDEN = `RUN find /www -name '.*' ! -name .well-known -prune -exec rm -rf {} +`

/**
 * Stages that serve what `copies` puts into /www.
 *
 * @param instead what is sent for an address that does not exist, below /www, where the site has no 404.html
 */
export function servesFiles(
  images: Images,
  copies: readonly string[],
  instead: readonly string[],
): string[][] {
  const names = COMPRESSED.map((ending) => `-name '*.${ending}'`).join(' -o ')
  const types = Object.entries(TYPES).map(([ending, type]) => `.${ending}:${type}`)
  const pages = ['404.html', ...instead].join(' ')
  const choose = `if test -f "/www/$page"; then echo "E404:/www/$page" >> /httpd.conf; break; fi`
  return [
    [
      `FROM ${images.static} AS site`,
      ...copies,
      'RUN rm -f /www/Dockerfile /www/.dockerignore',
      `RUN find /www -type f \\( ${names} \\) -exec gzip -9 -k {} \\;`,
      `RUN printf '%s\\n' ${types.join(' ')} > /httpd.conf`,
      `RUN for page in ${pages}; do ${choose}; done`,
    ],
    [
      `FROM ${images.static}`,
      'COPY --from=site /httpd.conf /etc/httpd.conf',
      'COPY --from=site /www /www',
      `ENV PORT=${PORT}`,
      'USER 65534:65534',
      `EXPOSE ${PORT}`,
      `CMD ["sh","-c","exec httpd -f -p $PORT -h /www -c /etc/httpd.conf"]`,
    ],
  ]
}
