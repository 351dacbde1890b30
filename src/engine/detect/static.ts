import type { BaseImages } from '../../config.js'
import { type Detector, NEVER_SENT, stages } from './recipe.js'

const PORT = 8080
/** What busybox' httpd sends compressed where a `.gz` lies beside it. */
const COMPRESSED = ['html', 'css', 'js', 'mjs', 'json', 'svg', 'xml', 'txt', 'map', 'wasm']

/** Files that are served as they are: an index.html in the root, in `public/` or in `dist/`. */
export const detectStatic: Detector = (tree, images) => {
  const folder = ['', 'public/', 'dist/'].find((path) => tree.paths.has(`${path}index.html`))
  if (folder === undefined) return null
  const notFound = tree.paths.has(`${folder}404.html`) ? '404.html' : null
  return {
    language: 'a static site',
    because: [`${folder}index.html`],
    dockerfile: stages(...servesFiles(images, [`COPY ${folder || '.'} /www/`], notFound)),
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
 * @param notFound the page for an address that does not exist, below /www
 */
export function servesFiles(
  images: BaseImages,
  copies: readonly string[],
  notFound: string | null,
): string[][] {
  const names = COMPRESSED.map((ending) => `-name '*.${ending}'`).join(' -o ')
  const settings = notFound === null ? '' : `E404:/www/${notFound}\\n`
  return [
    [
      `FROM ${images.static} AS site`,
      ...copies,
      'RUN rm -f /www/Dockerfile /www/.dockerignore',
      `RUN find /www -type f \\( ${names} \\) -exec gzip -9 -k {} \\;`,
      `RUN printf '${settings}' > /httpd.conf`,
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
