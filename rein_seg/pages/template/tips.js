// The text that a part of a figure shows under the pointer.

function followTips() {
  const tip = find('#tip');
  const over = (event) => {
    const own = event.target.closest && event.target.closest('[data-tip]');
    tip.hidden = !own;
    if (!own) return;
    tip.textContent = own.dataset.tip;
    const box = tip.getBoundingClientRect();
    const right = event.clientX + 14 + box.width < document.documentElement.clientWidth;
    tip.style.left = `${Math.max(4, right ? event.clientX + 14 : event.clientX - 10 - box.width)}px`;
    tip.style.top = `${Math.max(4, event.clientY - box.height - 10)}px`;
  };
  document.addEventListener('pointermove', over);
  document.addEventListener('pointerdown', over);
  document.addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
}
