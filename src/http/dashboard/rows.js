// A table whose rows can be opened: one Tab stop, arrow keys or j and k to move, Enter to open.

export function rowKeys(body) {
  const rove = to => {
    for (const row of body.children) row.tabIndex = row === to ? 0 : -1;
  };
  const one = () => body.querySelector("tr[tabindex='0']") || rove(body.firstChild);
  body.addEventListener("focusin", e => rove(e.target.closest("tr")));
  new MutationObserver(one).observe(body, { childList: true });
  one();
  body.addEventListener("keydown", e => {
    const row = e.target.closest("tr"),
      next = neighbour(row, e.key);
    if (e.target !== row) return;
    if (next) {
      next.focus();
      e.preventDefault();
      e.stopPropagation();
    }
    if (e.key === "Enter") {
      row.click();
      e.preventDefault();
    }
  });
}

// From anywhere else on the page, the first row.
export function enterRows(page, body) {
  page.keys(e => {
    if (!isDown(e.key) || e.target.closest("tr") || !body.firstChild) return;
    (body.querySelector("tr[tabindex='0']") ?? body.firstChild).focus();
    e.preventDefault();
  });
}

const isDown = key => key === "ArrowDown" || key === "j";
const isUp = key => key === "ArrowUp" || key === "k";
const neighbour = (row, key) =>
  isDown(key) ? row?.nextElementSibling : isUp(key) ? row?.previousElementSibling : null;
