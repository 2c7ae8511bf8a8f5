"use strict";
/* Data files are scripts that call anchor.put(key, value); anchor.load(path, key) adds the script and waits for it.
   This works from file:// addresses, where fetch() does not. */
const anchor = (() => {
  const KEPT = 24; // data files in memory, beside those that are pinned
  const values = new Map();
  const waiting = new Map();

  function put(key, value) {
    values.delete(key);
    values.set(key, value);
    for (const old of values.keys()) {
      if (values.size <= KEPT) break;
      if (/\/(prompts-|judge-)?\d+$/.test(old) && old !== key) values.delete(old);
    }
  }

  function load(path, key) {
    if (values.has(key)) return Promise.resolve(values.get(key));
    if (waiting.has(key)) return waiting.get(key);
    const promise = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = path;
      const done = () => { script.remove(); waiting.delete(key); };
      script.onload = () => {
        done();
        if (values.has(key)) resolve(values.get(key));
        else reject(new Error(`${path} doesn't hold ${key}`));
      };
      script.onerror = () => { done(); reject(new Error(`${path} can't be loaded`)); };
      document.head.append(script);
    });
    waiting.set(key, promise);
    return promise;
  }

  function embedded(id) {
    return JSON.parse(document.getElementById(id).textContent);
  }

  return Object.freeze({ put, load, embedded });
})();
