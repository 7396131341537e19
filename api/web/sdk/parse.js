/**
 * A frame of an event stream.
 * @typedef {{event: string, data: string, id: string | null}} Frame
 */

/** Takes a stream of server-sent events apart, however its bytes are cut. */
export class FrameParser {
  #rest = '';
  #event = '';
  #id = /** @type {string | null} */ (null);
  /** @type {string[]} */
  #data = [];

  /** Milliseconds that the server asked to wait before coming back. */
  retry = /** @type {number | null} */ (null);

  /** The last id that came, also in a frame without data. */
  lastId = /** @type {string | null} */ (null);

  /**
   * @param {string} text
   * @returns {Frame[]} Frames that are complete now.
   */
  push(text) {
    /** @type {Frame[]} */
    const frames = [];
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#take(line.endsWith('\r') ? line.slice(0, -1) : line, frames);
    return frames;
  }

  /**
   * @param {string} line
   * @param {Frame[]} frames
   */
  #take(line, frames) {
    if (line === '') {
      if (this.#id !== null) this.lastId = this.#id;
      if (this.#data.length > 0) {
        frames.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      }
      this.#event = '';
      this.#data = [];
      this.#id = null;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
